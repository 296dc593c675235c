// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy to the internal rule form. A rule of which any part is not understood is
// closed as a whole, as upstream's comments on the peers ask: one that accepts matches nothing, one that denies or passes
// denies everything.
import { canonicalNamePattern } from "../model/domain-name.ts";
import type {
  Action,
  Direction,
  EndpointSelector,
  Peer,
  Policy,
  Rule,
  Service,
} from "../model/policy.ts";
import { matchesEverything } from "../model/selector.ts";
import { tryParsePrefix } from "../net/address.ts";
import type { PortProtocol } from "../net/protocol.ts";
import {
  fieldAt,
  fieldOf,
  isObject,
  listOf,
  type Problem,
  quoted,
  stringOf,
  type Translation,
} from "./json.ts";
import { translateSelector } from "./label-selector.ts";
import { findUnknown, type Invalid, Place } from "./place.ts";
import { isPortNumber } from "./port.ts";

const everyPod: EndpointSelector = {
  zones: { kind: "labels", selector: matchesEverything },
  endpoints: matchesEverything,
};

const podFields = ["namespaces", "pods"] as const;
const peerFields = {
  ingress: podFields,
  egress: [...podFields, "nodes", "networks", "domainNames"],
} as const satisfies Record<Direction, readonly string[]>;
type PeerField = (typeof peerFields)["egress"][number];

const protocols = { tcp: "TCP", udp: "UDP", sctp: "SCTP" } as const satisfies Record<
  string,
  PortProtocol
>;
const protocolNames = ["tcp", "udp", "sctp"] as const;
const protocolFields = [...protocolNames, "destinationNamedPort"] as const;

const actions: Readonly<Record<string, Action>> = { Accept: "allow", Deny: "deny", Pass: "pass" };

/** The one field that is set, of objects that have exactly one of several; else why there is none. */
function chosenField<Name extends string>(
  value: unknown,
  place: Place,
  names: readonly Name[],
): Name | Invalid {
  if (!isObject(value)) return place.invalid(`expected an object, got ${quoted(value)}`);
  const extra = findUnknown(value, place, names);
  if (extra !== undefined) return extra;
  const [chosen, ...more] = names.filter((name) => fieldOf(value, name) !== undefined);
  if (chosen !== undefined && more.length === 0) return chosen;
  return place.invalid(`expected exactly one of ${names.join(", ")}`);
}

/** The selector as far as it is understood, which is wider than it was meant. */
function widestSelector(value: unknown, place: Place) {
  const { selector, problems } = translateSelector(value, place.field);
  place.report(...problems);
  return selector;
}

/** As far as it is understood; what is not is reported. */
function translatePods(
  value: unknown,
  field: (typeof podFields)[number],
  place: Place,
): EndpointSelector {
  const at = place.at(field);
  const chosen = fieldOf(value, field);
  if (field === "namespaces") {
    const selector = widestSelector(chosen, at);
    return { zones: { kind: "labels", selector }, endpoints: matchesEverything };
  }
  if (!isObject(chosen)) {
    at.invalid(`expected pods, got ${quoted(chosen)}`);
    return everyPod;
  }
  findUnknown(chosen, at, ["namespaceSelector", "podSelector"]);
  const pods = fieldOf(chosen, "podSelector");
  if (pods === undefined) at.at("podSelector").invalid("expected a label selector");
  return {
    zones: {
      kind: "labels",
      selector: widestSelector(fieldOf(chosen, "namespaceSelector"), at.at("namespaceSelector")),
    },
    endpoints: widestSelector(pods, at.at("podSelector")),
  };
}

/** A list of texts that the API wants to have at least one of. */
function textsOf(value: unknown, place: Place): readonly (readonly [string, Place])[] {
  const items = listOf(value) ?? [];
  if (items.length === 0) place.invalid("expected a list with at least one item");
  return items.flatMap((item, index) => {
    const at = place.at(index);
    if (typeof item === "string") return [[item, at] as const];
    at.invalid(`expected a text, got ${quoted(item)}`);
    return [];
  });
}

function translateNetworks(value: unknown, place: Place): readonly Peer[] {
  return textsOf(value, place).map(([cidr, at]) =>
    tryParsePrefix(cidr) === undefined
      ? at.invalid(`expected a CIDR, got ${quoted(cidr)}`)
      : { kind: "network", cidr, except: [] },
  );
}

function translateNames(value: unknown, place: Place): Peer {
  const names = textsOf(value, place).flatMap(([text, at]) => {
    const name = canonicalNamePattern(text);
    if (name === undefined) at.invalid(`expected a domain name, got ${quoted(text)}`);
    return name ?? [];
  });
  return { kind: "domains", names: [...new Set(names)] };
}

function translatePeer(value: unknown, direction: Direction, place: Place): readonly Peer[] {
  const field: PeerField | Invalid = chosenField<PeerField>(value, place, peerFields[direction]);
  if (typeof field === "object") return [field];
  const at = place.at(field);
  switch (field) {
    case "namespaces":
    case "pods":
      return [{ kind: "endpoints", ...translatePods(value, field, place) }];
    case "nodes":
      return [{ kind: "nodes", selector: widestSelector(fieldOf(value, field), at) }];
    case "networks":
      return translateNetworks(fieldOf(value, field), at);
    case "domainNames":
      return [translateNames(fieldOf(value, field), at)];
  }
}

function translatePort(value: unknown, protocol: PortProtocol, place: Place): Service {
  if (!isObject(value)) return place.invalid(`expected a protocol, got ${quoted(value)}`);
  const extra = findUnknown(value, place, ["destinationPort"]);
  if (extra !== undefined) return extra;
  const port = fieldOf(value, "destinationPort");
  const at = place.at("destinationPort");
  const field = chosenField(port, at, ["number", "range"]);
  if (typeof field === "object") return field;
  const chosen = fieldOf(port, field);
  if (field === "number") {
    return isPortNumber(chosen)
      ? { kind: "ports", protocol, from: chosen, to: chosen }
      : at.at(field).invalid(`expected a number from 1 to 65535, got ${quoted(chosen)}`);
  }
  const [from, to] = [fieldOf(chosen, "start"), fieldOf(chosen, "end")];
  const unknown = isObject(chosen)
    ? findUnknown(chosen, at.at(field), ["start", "end"])
    : undefined;
  if (unknown !== undefined) return unknown;
  return isPortNumber(from) && isPortNumber(to) && from <= to
    ? { kind: "ports", protocol, from, to }
    : at.at(field).invalid(`expected a start and an end not below it, got ${quoted(chosen)}`);
}

function translateProtocol(value: unknown, place: Place): readonly Service[] {
  const field = chosenField(value, place, protocolFields);
  if (typeof field === "object") return [field];
  const chosen = fieldOf(value, field);
  if (field !== "destinationNamedPort") {
    return [translatePort(chosen, protocols[field], place.at(field))];
  }
  if (typeof chosen !== "string" || chosen === "") {
    return [place.at(field).invalid(`expected a port's name, got ${quoted(chosen)}`)];
  }
  // Whatever the protocol is that the pod declares the port for.
  return protocolNames.map((name) => ({
    kind: "named",
    protocol: protocols[name],
    name: chosen,
  }));
}

/** Things that are understood one by one and not together. */
function checkTogether(
  action: Action,
  peers: readonly Peer[],
  services: readonly Service[] | "any",
  place: Place,
): void {
  if (action !== "allow" && peers.some(({ kind }) => kind === "domains")) {
    place.invalid("domainNames are for rules that accept: not all of a name's addresses are known");
  }
  const portless = peers.some(
    ({ kind }) => kind === "nodes" || kind === "network" || kind === "domains",
  );
  if (portless && services !== "any" && services.some(({ kind }) => kind === "named")) {
    place.invalid("destinationNamedPort excludes nodes, networks and domainNames");
  }
}

function translateParts(
  value: unknown,
  direction: Direction,
  place: Place,
): Pick<Rule, "action" | "peers" | "services"> {
  const peersField = direction === "ingress" ? "from" : "to";
  if (!isObject(value)) {
    place.invalid(`expected a rule, got ${quoted(value)}`);
    return { action: "deny", peers: [], services: "any" };
  }
  findUnknown(value, place, ["name", "action", peersField, "protocols"]);
  const action = actions[stringOf(fieldOf(value, "action")) ?? ""];
  if (action === undefined) {
    place.at("action").invalid("expected one of Accept, Deny, Pass");
  }
  const items = listOf(fieldOf(value, peersField)) ?? [];
  if (items.length === 0) place.at(peersField).invalid("expected a list with at least one peer");
  const peers = items.flatMap((item, index) =>
    translatePeer(item, direction, place.at(peersField).at(index)),
  );
  const listed = listOf(fieldOf(value, "protocols"));
  if (listed === undefined) place.at("protocols").invalid("expected a list of protocols");
  const services =
    listed === undefined || listed.length === 0
      ? "any"
      : listed.flatMap((item, index) => translateProtocol(item, place.at("protocols").at(index)));
  checkTogether(action ?? "deny", peers, services, place);
  return { action: action ?? "deny", peers, services };
}

/** Stands for a rule that is not understood, in whole or in part. */
function closedRule(
  action: Action,
  [problem]: readonly Problem[],
): Pick<Rule, "action" | "peers" | "services"> {
  if (action !== "allow") return { action: "deny", peers: "any", services: "any" };
  const reason = `${problem?.field ?? ""}: ${problem?.message ?? ""}`;
  return { action, peers: [{ kind: "invalid", reason }], services: "any" };
}

function translateRule(
  value: unknown,
  direction: Direction,
  index: number,
  problems: Problem[],
): Rule {
  const own: Problem[] = [];
  const place = new Place("", `spec.${direction}[${index}]`, own);
  const parts = translateParts(value, direction, place);
  problems.push(...own);
  const name = stringOf(fieldOf(value, "name"));
  return {
    index,
    ...(name === undefined || name === "" ? {} : { name }),
    ...(own.length === 0 ? parts : closedRule(parts.action, own)),
  };
}

function translateRules(spec: unknown, direction: Direction, problems: Problem[]): readonly Rule[] {
  const value = fieldOf(spec, direction);
  const rules = listOf(value);
  if (rules !== undefined) {
    return rules.map((rule, index) => translateRule(rule, direction, index, problems));
  }
  const message = `expected a list of rules, got ${quoted(value)}`;
  const problem = { field: `spec.${direction}`, message };
  problems.push(problem);
  return [{ index: 0, ...closedRule("deny", [problem]) }];
}

const lastPriority = 1000;

/** Where the tier or the priority is not understood, the policy is asked first. */
function translatePlace(spec: unknown, place: Place): Pick<Policy, "tier" | "priority"> {
  const tier = fieldOf(spec, "tier");
  if (tier !== "Admin" && tier !== "Baseline") {
    place.at("tier").invalid(`expected Admin or Baseline, got ${quoted(tier)}`);
  }
  const priority = fieldOf(spec, "priority");
  const understood =
    typeof priority === "number" &&
    Number.isInteger(priority) &&
    priority >= 0 &&
    priority <= lastPriority;
  if (!understood) {
    const message = `expected a number from 0 to ${lastPriority}, got ${quoted(priority)}`;
    place.at("priority").invalid(message);
  }
  return { tier: tier === "Baseline" ? "baseline" : "admin", priority: understood ? priority : 0 };
}

function translateSubject(spec: unknown, place: Place): EndpointSelector {
  const subject = fieldOf(spec, "subject");
  const field = chosenField(subject, place, podFields);
  return typeof field === "object" ? everyPod : translatePods(subject, field, place);
}

/** Of a policy of which more is not understood than single rules: nothing is accepted or passed on. */
function closed(rule: Rule): readonly Rule[] {
  if (rule.action === "allow") return [];
  return rule.action === "deny" ? [rule] : [{ ...rule, action: "deny" }];
}

/** The model's id of the ClusterNetworkPolicy of that name. */
export function clusterNetworkPolicyId(name: string): string {
  return `ClusterNetworkPolicy/${name}`;
}

/** The name of the ClusterNetworkPolicy with that id. */
export function nameOfClusterNetworkPolicy(id: string): string {
  return id.slice(clusterNetworkPolicyId("").length);
}

/** Never throws, whatever the object holds. */
export function translateClusterNetworkPolicy(object: unknown): Translation<Policy> {
  const name = stringOf(fieldAt(object, "metadata", "name")) ?? "";
  const spec = fieldOf(object, "spec");
  const general: Problem[] = [];
  const place = new Place("", "spec", general);
  if (isObject(spec)) {
    findUnknown(spec, place, ["tier", "priority", "subject", "ingress", "egress"]);
  } else place.invalid(`expected a ClusterNetworkPolicy's spec, got ${quoted(spec)}`);
  const order = translatePlace(spec, place);
  const subject = translateSubject(spec, place.at("subject"));
  const problems = [...general];
  const rulesFor = (direction: Direction): readonly Rule[] => {
    const rules = translateRules(spec, direction, problems);
    return general.length === 0 ? rules : rules.flatMap(closed);
  };
  const value: Policy = {
    id: clusterNetworkPolicyId(name),
    ...order,
    subject,
    isolates: [],
    ingress: rulesFor("ingress"),
    egress: rulesFor("egress"),
  };
  return { value, problems };
}
