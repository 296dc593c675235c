// networking/v1 NetworkPolicy to the internal rule form. What cannot be understood becomes an `invalid` part that matches
// nothing, while the isolation of the policy's subject stays: a mistake closes, it never opens.
import type { Direction, Peer, Policy, Rule, Service, ZoneSelector } from "../model/policy.ts";
import { tryParsePrefix } from "../net/address.ts";
import { isPortProtocol } from "../net/protocol.ts";
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
import { isPortName, isPortNumber } from "./port.ts";

function translateBlock(value: unknown, place: Place): Peer {
  if (!isObject(value)) return place.invalid(`expected an address block, got ${quoted(value)}`);
  const cidr = stringOf(value["cidr"]);
  if (cidr === undefined || tryParsePrefix(cidr) === undefined) {
    return place.at("cidr").invalid(`expected a CIDR, got ${quoted(value["cidr"])}`);
  }
  const holes = listOf(value["except"] ?? undefined);
  if (holes === undefined) return place.at("except").invalid("expected a list of CIDRs");
  const except: string[] = [];
  for (const [index, hole] of holes.entries()) {
    if (typeof hole !== "string" || tryParsePrefix(hole) === undefined) {
      return place
        .at("except")
        .at(index)
        .invalid(`expected a CIDR, got ${quoted(hole)}`);
    }
    except.push(hole);
  }
  return findUnknown(value, place, ["cidr", "except"]) ?? { kind: "network", cidr, except };
}

function translateZones(value: unknown, place: Place): ZoneSelector | undefined {
  if (value === undefined) return { kind: "name", name: place.namespace };
  const { selector, problems } = translateSelector(value, place.field);
  place.report(...problems);
  return problems.length > 0 ? undefined : { kind: "labels", selector };
}

function translatePeer(value: unknown, place: Place): Peer {
  if (!isObject(value)) return place.invalid(`expected a peer, got ${quoted(value)}`);
  const extra = findUnknown(value, place, ["podSelector", "namespaceSelector", "ipBlock"]);
  if (extra !== undefined) return extra;
  const block = fieldOf(value, "ipBlock");
  const pods = fieldOf(value, "podSelector");
  const namespaces = fieldOf(value, "namespaceSelector");
  if (block !== undefined) {
    return pods === undefined && namespaces === undefined
      ? translateBlock(block, place.at("ipBlock"))
      : place.invalid("ipBlock excludes podSelector and namespaceSelector");
  }
  if (pods === undefined && namespaces === undefined) return place.invalid("expected a peer");
  const zones = translateZones(namespaces, place.at("namespaceSelector"));
  const { selector, problems } = translateSelector(pods, place.at("podSelector").field);
  place.report(...problems);
  if (zones === undefined || problems.length > 0) {
    return { kind: "invalid", reason: `${place.field}: selector not understood` };
  }
  return { kind: "endpoints", zones, endpoints: selector };
}

function translatePort(value: unknown, place: Place): Service {
  if (!isObject(value)) return place.invalid(`expected a port, got ${quoted(value)}`);
  const extra = findUnknown(value, place, ["protocol", "port", "endPort"]);
  if (extra !== undefined) return extra;
  const protocol = fieldOf(value, "protocol") ?? "TCP";
  if (typeof protocol !== "string" || !isPortProtocol(protocol)) {
    return place.at("protocol").invalid(`expected TCP, UDP or SCTP, got ${quoted(protocol)}`);
  }
  const port = fieldOf(value, "port");
  const endPort = fieldOf(value, "endPort");
  if (endPort !== undefined && !(isPortNumber(port) && isPortNumber(endPort) && port <= endPort)) {
    return place.at("endPort").invalid("expected a port number not below port, also a number");
  }
  if (port === undefined) return { kind: "protocol", protocol };
  if (typeof port === "string" && isPortName(port)) return { kind: "named", protocol, name: port };
  if (!isPortNumber(port)) {
    const message = `expected a number from 1 to 65535 or a port's name, got ${quoted(port)}`;
    return place.at("port").invalid(message);
  }
  return { kind: "ports", protocol, from: port, to: isPortNumber(endPort) ? endPort : port };
}

/** A list in which none means any. */
function translateList<T>(
  value: unknown,
  place: Place,
  translate: (item: unknown, place: Place) => T,
): readonly (T | Invalid)[] | "any" {
  const items = listOf(value);
  if (items === undefined) return [place.invalid(`expected a list, got ${quoted(value)}`)];
  return items.length === 0 ? "any" : items.map((item, index) => translate(item, place.at(index)));
}

function translateRule(value: unknown, index: number, place: Place, peersField: string): Rule {
  const rule = { index, action: "allow" } as const;
  const invalid = isObject(value)
    ? findUnknown(value, place, [peersField, "ports"])
    : place.invalid(`expected a rule, got ${quoted(value)}`);
  if (invalid !== undefined) return { ...rule, peers: [invalid], services: "any" };
  return {
    ...rule,
    peers: translateList(fieldOf(value, peersField), place.at(peersField), translatePeer),
    services: translateList(fieldOf(value, "ports"), place.at("ports"), translatePort),
  };
}

function translateRules(spec: unknown, direction: Direction, place: Place): readonly Rule[] {
  const value = fieldOf(spec, direction);
  const rules = listOf(value);
  if (rules === undefined) {
    place.at(direction).invalid(`expected a list of rules, got ${quoted(value)}`);
    return [];
  }
  const peersField = direction === "ingress" ? "from" : "to";
  return rules.map((rule, index) =>
    translateRule(rule, index, place.at(direction).at(index), peersField),
  );
}

/**
 * Without policyTypes a policy isolates for ingress, and for egress where it has egress rules (the API's default). A
 * type that is not known could be either direction, so it isolates in both.
 */
function translateTypes(spec: unknown, place: Place): readonly Direction[] {
  if (!isObject(spec)) {
    place.invalid(`expected a NetworkPolicy's spec, got ${quoted(spec)}`);
    return ["ingress", "egress"];
  }
  const types = listOf(fieldOf(spec, "policyTypes"));
  if (types?.length === 0) {
    const egress = listOf(fieldOf(spec, "egress"));
    return egress?.length === 0 ? ["ingress"] : ["ingress", "egress"];
  }
  const understood = types?.every((type) => type === "Ingress" || type === "Egress") ?? false;
  if (!understood) {
    place.at("policyTypes").invalid("expected a list of Ingress and Egress");
    return ["ingress", "egress"];
  }
  const directions: Direction[] = [];
  if (types?.includes("Ingress")) directions.push("ingress");
  if (types?.includes("Egress")) directions.push("egress");
  return directions;
}

/** Never throws, whatever the object holds. Rules of a direction that the policy does not isolate have no effect. */
export function translateNetworkPolicy(object: unknown): Translation<Policy> {
  const namespace = stringOf(fieldAt(object, "metadata", "namespace")) ?? "";
  const name = stringOf(fieldAt(object, "metadata", "name")) ?? "";
  const problems: Problem[] = [];
  const place = new Place(namespace, "spec", problems);
  const spec = fieldOf(object, "spec") ?? {};
  const subject = translateSelector(fieldOf(spec, "podSelector"), "spec.podSelector");
  problems.push(...subject.problems);
  const isolates = translateTypes(spec, place);
  const rulesFor = (direction: Direction): readonly Rule[] => {
    const rules = translateRules(spec, direction, place);
    return isolates.includes(direction) && subject.problems.length === 0 ? rules : [];
  };
  const value: Policy = {
    id: `NetworkPolicy/${namespace}/${name}`,
    tier: "networkpolicy",
    priority: 0,
    subject: { zones: { kind: "name", name: namespace }, endpoints: subject.selector },
    isolates,
    ingress: rulesFor("ingress"),
    egress: rulesFor("egress"),
  };
  return { value, problems };
}
