// A second reading of NetworkPolicy v1, straight from the API reference and as naive as can be: no model, no index, no
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
    const policies = this.#objects.filter(
      (each) =>
        each.kind === "NetworkPolicy" &&
        each.metadata.namespace === subject.metadata.namespace &&
        mightSelect(each.spec.podSelector, subject.metadata.labels) &&
        appliesTo(each.spec, direction),
    );
    if (policies.length === 0) return true;
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
