// A second reading of NetworkPolicy v1 and ClusterNetworkPolicy v1alpha2, straight from the API references and as naive as can be: no model, no index, no
// shared code; every question walks the raw JSON. It exists to disagree with the evaluator.
import type { KubeObject } from "../src/apimachinery/kind.ts";
import type { Packet, PacketEnd } from "../src/policy/packet.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- raw JSON, read as it comes
type Json = any;

const isMap = (value: Json): boolean =>
  value !== null && typeof value === "object" && !Array.isArray(value);

const onlyHas = (value: Json, names: string[]): boolean =>
  isMap(value) && Object.keys(value).every((name) => names.includes(name));

/** An address as a text of 32 or 128 binary digits. */
function digits(address: string): string {
  if (!address.includes(":")) {
    return address
      .split(".")
      .map((part) => Number(part).toString(2).padStart(8, "0"))
      .join("");
  }
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...zeros, ...right]
    .map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("");
}

function isCidr(cidr: Json): boolean {
  return typeof cidr === "string" && /^(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]*)\/\d+$/.test(cidr);
}

function inCidr(address: string, cidr: string): boolean {
  const [network = "", length] = cidr.split("/");
  if (network.includes(":") !== address.includes(":")) return false;
  return digits(address).startsWith(digits(network).slice(0, Number(length)));
}

/** What an expression says of the labels; `undefined` when it says nothing that makes sense. */
function expressionMatches(expression: Json, labels: Json): boolean | undefined {
  if (!isMap(expression) || typeof expression.key !== "string") return undefined;
  const { key, operator, values = [] } = expression;
  const present = Object.keys(labels).includes(key);
  if (operator === "In" && values.length > 0) return present && values.includes(labels[key]);
  if (operator === "NotIn" && values.length > 0) return !present || !values.includes(labels[key]);
  if (operator === "Exists" && values.length === 0) return present;
  if (operator === "DoesNotExist" && values.length === 0) return !present;
  return undefined;
}

/** One answer for each requirement, `undefined` for one that makes no sense. */
function answers(selector: Json, labels: Json): (boolean | undefined)[] {
  if (!isMap(selector)) return [undefined];
  const { matchLabels = {}, matchExpressions = [], ...rest } = selector;
  return [
    ...Object.keys(rest).map(() => undefined),
    ...(Object.values(matchLabels).every((value) => typeof value === "string")
      ? Object.entries(matchLabels).map(([key, value]) => labels[key] === value)
      : [undefined]),
    ...matchExpressions.map((each: Json) => expressionMatches(each, labels)),
  ];
}

function selects(selector: Json, labels: Json): boolean {
  return answers(selector, labels).every((answer) => answer === true);
}

/** A part that makes no sense could mean any pod. */
function mightSelect(selector: Json, labels: Json): boolean {
  return answers(selector, labels).every((answer) => answer !== false);
}

function makesSense(selector: Json): boolean {
  return !answers(selector, {}).includes(undefined);
}

export class Oracle {
  readonly #objects: readonly Json[];

  constructor(objects: readonly KubeObject[]) {
    this.#objects = objects;
  }

  allows(packet: Packet): boolean {
    const source = this.#pod(packet.source);
    const destination = this.#pod(packet.destination);
    if (source !== undefined && source === destination) return true;
    const node = packet.source.kind === "node" ? packet.source.name : undefined;
    const fromOwnNode = node !== undefined && destination?.spec.nodeName === node;
    return (
      (source === undefined || this.#directionAllows("egress", source, packet)) &&
      (destination === undefined ||
        fromOwnNode ||
        this.#directionAllows("ingress", destination, packet))
    );
  }

  #find(kind: string, name: string, namespace?: string): Json {
    return this.#objects.find(
      (each) =>
        each.kind === kind && each.metadata.name === name && each.metadata.namespace === namespace,
    );
  }

  #pod(end: PacketEnd): Json {
    if (end.kind !== "endpoint") return undefined;
    const [namespace, name = ""] = end.id.split("/");
    return this.#find("Pod", name, namespace);
  }

  #address(end: PacketEnd, packet: Packet): string | undefined {
    const fits = (address: string) => address.includes(":") === (packet.family === 6);
    if (end.kind === "address") return end.address;
    if (end.kind === "endpoint")
      return this.#pod(end)
        .status.podIPs.map((each: Json) => each.ip)
        .find(fits);
    return this.#find("Node", end.name)
      .status.addresses.map((each: Json) => each.address)
      .find(fits);
  }

  #directionAllows(direction: "ingress" | "egress", subject: Json, packet: Packet): boolean {
    const admin = this.#tierSays("Admin", direction, subject, packet);
    if (admin !== undefined) return admin === "Accept";
    const own = this.#networkPoliciesSay(direction, subject, packet);
    return own ?? this.#tierSays("Baseline", direction, subject, packet) !== "Deny";
  }

  /** What the first rule says that matches; nothing where that passes, or there is none. */
  #tierSays(
    tier: string,
    direction: "ingress" | "egress",
    subject: Json,
    packet: Packet,
  ): "Accept" | "Deny" | undefined {
    const rules = this.#objects
      .filter(({ kind }) => kind === "ClusterNetworkPolicy")
      .filter(({ spec }) => (spec.tier === "Baseline" ? "Baseline" : "Admin") === tier)
      .filter(({ spec }) => this.#mightBeSubject(spec.subject, subject))
      .toSorted((a, b) => rankOf(a) - rankOf(b) || (a.metadata.name < b.metadata.name ? -1 : 1))
      .flatMap((policy) => closedRules(policy.spec, direction));
    const first = rules.find((rule) => this.#clusterRuleMatches(rule, direction, packet));
    return first?.action === "Accept" || first?.action === "Deny" ? first.action : undefined;
  }

  #mightBeSubject(selection: Json, pod: Json): boolean {
    if (!isMap(selection) || Object.keys(selection).length !== 1) return true;
    const namespace = this.#find("Namespace", pod.metadata.namespace).metadata.labels;
    if ("namespaces" in selection) return mightSelect(selection.namespaces, namespace);
    const { namespaceSelector = {}, podSelector = {} } = selection.pods ?? {};
    return (
      mightSelect(namespaceSelector, namespace) && mightSelect(podSelector, pod.metadata.labels)
    );
  }

  #clusterRuleMatches(rule: Json, direction: "ingress" | "egress", packet: Packet): boolean {
    if (rule.everything === true) return true;
    const peers = direction === "ingress" ? rule.from : rule.to;
    const end = direction === "ingress" ? packet.source : packet.destination;
    const protocols = rule.protocols ?? [];
    return (
      peers.some((each: Json) => this.#clusterPeerMatches(each, end, packet)) &&
      (protocols.length === 0 ||
        protocols.some((each: Json) => this.#protocolMatches(each, packet)))
    );
  }

  #clusterPeerMatches(peer: Json, end: PacketEnd, packet: Packet): boolean {
    const address = this.#address(end, packet) ?? "none";
    if (peer.networks !== undefined) {
      return address !== "none" && peer.networks.some((cidr: string) => inCidr(address, cidr));
    }
    if (peer.nodes !== undefined) {
      return this.#objects
        .filter(({ kind }) => kind === "Node")
        .filter(({ metadata }) => selects(peer.nodes, metadata.labels))
        .some(({ status }) => status.addresses.some((each: Json) => each.address === address));
    }
    const pod = this.#pod(end);
    // Nothing has been looked up.
    if (peer.domainNames !== undefined || pod === undefined) return false;
    const namespace = this.#find("Namespace", pod.metadata.namespace).metadata.labels;
    if (peer.namespaces !== undefined) return selects(peer.namespaces, namespace);
    const { namespaceSelector = {}, podSelector } = peer.pods;
    return selects(namespaceSelector, namespace) && selects(podSelector, pod.metadata.labels);
  }

  #protocolMatches(entry: Json, packet: Packet): boolean {
    const asked = packet.destinationPort ?? -1;
    if (entry.destinationNamedPort !== undefined) {
      const containers = this.#pod(packet.destination)?.spec.containers ?? [];
      const declared = containers.flatMap((each: Json) => each.ports ?? []);
      const named = (each: Json) =>
        each.name === entry.destinationNamedPort && each.protocol === packet.protocol;
      return declared.find(named)?.containerPort === asked;
    }
    const [name = ""] = Object.keys(entry);
    const port = entry[name].destinationPort;
    if (name.toUpperCase() !== packet.protocol) return false;
    return port.range === undefined
      ? port.number === asked
      : port.range.start <= asked && asked <= port.range.end;
  }

  /** Nothing where no policy isolates. */
  #networkPoliciesSay(
    direction: "ingress" | "egress",
    subject: Json,
    packet: Packet,
  ): boolean | undefined {
    const policies = this.#objects.filter(
      (each) =>
        each.kind === "NetworkPolicy" &&
        each.metadata.namespace === subject.metadata.namespace &&
        mightSelect(each.spec.podSelector, subject.metadata.labels) &&
        appliesTo(each.spec, direction),
    );
    if (policies.length === 0) return undefined;
    return policies
      .filter((policy) => makesSense(policy.spec.podSelector))
      .filter((policy) => Array.isArray(policy.spec[direction]))
      .some((policy) =>
        policy.spec[direction].some((rule: Json) =>
          this.#ruleAllows(rule, direction, policy, packet),
        ),
      );
  }

  #ruleAllows(rule: Json, direction: "ingress" | "egress", policy: Json, packet: Packet): boolean {
    if (!isMap(rule)) return false;
    const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
    const ports = rule.ports ?? [];
    if (!Array.isArray(peers) || !Array.isArray(ports)) return false;
    const peer = direction === "ingress" ? packet.source : packet.destination;
    return (
      (peers.length === 0 ||
        peers.some((each) => this.#peerMatches(each, peer, policy.metadata.namespace, packet))) &&
      (ports.length === 0 || ports.some((each) => this.#portMatches(each, packet)))
    );
  }

  #peerMatches(peer: Json, end: PacketEnd, namespace: string, packet: Packet): boolean {
    if (!onlyHas(peer, ["podSelector", "namespaceSelector", "ipBlock"])) return false;
    const { podSelector, namespaceSelector, ipBlock } = peer;
    if (ipBlock !== undefined) {
      if (podSelector !== undefined || namespaceSelector !== undefined) return false;
      const { cidr, except = [] } = ipBlock;
      if (!isCidr(cidr) || !except.every(isCidr)) return false;
      const address = this.#address(end, packet);
      return (
        address !== undefined &&
        inCidr(address, cidr) &&
        !except.some((hole: string) => inCidr(address, hole))
      );
    }
    if (podSelector === undefined && namespaceSelector === undefined) return false;
    const pod = this.#pod(end);
    if (pod === undefined) return false;
    const inNamespace =
      namespaceSelector === undefined
        ? pod.metadata.namespace === namespace
        : selects(
            namespaceSelector,
            this.#find("Namespace", pod.metadata.namespace).metadata.labels,
          );
    return inNamespace && (podSelector === undefined || selects(podSelector, pod.metadata.labels));
  }

  #portMatches(entry: Json, packet: Packet): boolean {
    if (!isMap(entry)) return false;
    const { protocol = "TCP", port, endPort } = entry;
    if (packet.protocol !== protocol) return false;
    const asked = packet.destinationPort ?? -1;
    if (port === undefined) return endPort === undefined;
    if (typeof port === "number") {
      return port >= 1 && port <= 65535 && port <= asked && asked <= (endPort ?? port);
    }
    if (endPort !== undefined) return false;
    const containers = this.#pod(packet.destination)?.spec.containers ?? [];
    const declared = containers.flatMap((each: Json) => each.ports ?? []);
    const named = (each: Json) => each.name === port && each.protocol === protocol;
    return declared.find(named)?.containerPort === asked;
  }
}

function appliesTo(spec: Json, direction: "ingress" | "egress"): boolean {
  const types = spec.policyTypes ?? [];
  if (Array.isArray(types) && types.length === 0) {
    return direction === "ingress" || (spec.egress !== undefined && spec.egress.length !== 0);
  }
  if (!Array.isArray(types)) return true;
  if (types.some((type) => type !== "Ingress" && type !== "Egress")) return true;
  return types.includes(direction === "ingress" ? "Ingress" : "Egress");
}

/** The least priority is asked first; one that makes no sense even before. */
function rankOf({ spec }: Json): number {
  return prioritySound(spec) ? spec.priority : 0;
}

function prioritySound({ priority }: Json): boolean {
  return Number.isInteger(priority) && priority >= 0 && priority <= 1000;
}

const selectorSound = (selector: Json): boolean => selector !== undefined && makesSense(selector);

function podsSound(selection: Json): boolean {
  if (!onlyHas(selection, ["namespaceSelector", "podSelector"])) return false;
  const { namespaceSelector = {}, podSelector } = selection;
  return selectorSound(namespaceSelector) && selectorSound(podSelector);
}

const exactlyOne = (value: Json, names: string[]): boolean =>
  onlyHas(value, names) && Object.keys(value).length === 1;

function subjectSound(subject: Json): boolean {
  if (!exactlyOne(subject, ["namespaces", "pods"])) return false;
  return "pods" in subject ? podsSound(subject.pods) : selectorSound(subject.namespaces);
}

const isName = (name: Json): boolean =>
  typeof name === "string" && /^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*\.?$/i.test(name);

function peerSound(peer: Json, direction: "ingress" | "egress"): boolean {
  const outside = direction === "egress" ? ["nodes", "networks", "domainNames"] : [];
  if (!exactlyOne(peer, ["namespaces", "pods", ...outside])) return false;
  if ("networks" in peer) return peer.networks.length > 0 && peer.networks.every(isCidr);
  if ("domainNames" in peer) return peer.domainNames.length > 0 && peer.domainNames.every(isName);
  if ("pods" in peer) return podsSound(peer.pods);
  return selectorSound(peer.nodes ?? peer.namespaces);
}

function protocolSound(entry: Json): boolean {
  if (!exactlyOne(entry, ["tcp", "udp", "sctp", "destinationNamedPort"])) return false;
  if ("destinationNamedPort" in entry) return entry.destinationNamedPort !== "";
  const [match] = Object.values<Json>(entry);
  if (!exactlyOne(match, ["destinationPort"])) return false;
  const { number, range } = match.destinationPort;
  return range === undefined ? number >= 1 && number <= 65_535 : range.start <= range.end;
}

function ruleSound(rule: Json, direction: "ingress" | "egress"): boolean {
  const field = direction === "ingress" ? "from" : "to";
  if (!onlyHas(rule, ["name", "action", field, "protocols"])) return false;
  if (!["Accept", "Deny", "Pass"].includes(rule.action)) return false;
  const { protocols = [] } = rule;
  const peers = rule[field] ?? [];
  const named = protocols.some((each: Json) => isMap(each) && "destinationNamedPort" in each);
  const outside = peers.some(
    (each: Json) => isMap(each) && ("nodes" in each || "networks" in each || "domainNames" in each),
  );
  const names = peers.some((each: Json) => isMap(each) && "domainNames" in each);
  return (
    peers.length > 0 &&
    peers.every((each: Json) => peerSound(each, direction)) &&
    protocols.every(protocolSound) &&
    !(named && outside) &&
    !(names && rule.action !== "Accept")
  );
}

/** The rules of a policy, closed where they or the policy make no sense. */
function closedRules(spec: Json, direction: "ingress" | "egress"): Json[] {
  const sound =
    ["Admin", "Baseline"].includes(spec.tier) && prioritySound(spec) && subjectSound(spec.subject);
  return (spec[direction] ?? []).flatMap((rule: Json) => {
    const accepts = isMap(rule) && rule.action === "Accept";
    if (!ruleSound(rule, direction)) return accepts ? [] : [{ everything: true, action: "Deny" }];
    if (sound) return [rule];
    return accepts ? [] : [{ ...rule, action: "Deny" }];
  });
}
