// The truth tables of NetworkPolicy: hand-written cases in YAML beside this file. They are read here once for everything
// that must obey them: the evaluator, the flows on a switch, and real packets. README.md tells the format.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import type { Direction } from "../../src/model/policy.ts";
import { tryParseAddress } from "../../src/net/address.ts";
import type { Protocol } from "../../src/net/protocol.ts";
import type { Packet, PacketEnd } from "../../src/policy/packet.ts";
import type { Lookup } from "../../src/policy/policy-model.ts";
import type { Answer } from "../../src/policy/verdict.ts";
import { type ClusterDescription, type PolicySpecs, renderObjects } from "./objects.ts";

/** What must have decided in one direction, where the case says so. */
export type ExpectedDecision =
  /** `rule` counts from 0; `policy` is the model's id. */
  | { readonly kind: "rule"; readonly policy: string; readonly rule: number }
  | { readonly kind: "isolated"; readonly policies: readonly string[] }
  | { readonly kind: "default" | "own-node" | "itself" | "outside" | "unknown" };

interface ExpectedPacket {
  /** The line of the case, with the family when it stands for both. */
  readonly text: string;
  readonly packet: Packet;
  readonly verdict: Answer;
  readonly decisions: Readonly<Partial<Record<Direction, ExpectedDecision>>>;
}

export interface PolicyCase {
  /** A sentence; unique. */
  readonly name: string;
  /** Name of the file without its ending: the topic. */
  readonly topic: string;
  /** Kinds Namespace, Node, Pod, NetworkPolicy, ClusterNetworkPolicy, and isobar.io Domain. Pods have fixed addresses in their status. */
  readonly objects: readonly KubeObject[];
  readonly packets: readonly ExpectedPacket[];
  readonly lookups: readonly Lookup[];
}

interface CaseText {
  readonly name: string;
  /** Changes to the base cluster. */
  readonly cluster?: ClusterDescription;
  readonly policies?: PolicySpecs;
  /** What pods have looked up: by pod and name, addresses. */
  readonly lookups?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  readonly expect: string;
}

export const policyCaseTopics = [
  "isolation",
  "pod-selectors",
  "namespace-selectors",
  "combined-peers",
  "ip-blocks",
  "ports",
  "named-ports",
  "directions",
  "unions",
  "nodes-and-self",
  "changes",
  "invalid",
  "cluster-tiers",
  "cluster-selectors",
  "cluster-networks",
  "cluster-protocols",
  "cluster-names",
  "cluster-invalid",
] as const;

const linePattern =
  /^(?<from>\S+) -> (?<to>\S+) (?<services>\S+)(?: (?<family>v4|v6))?: (?<verdict>allow|deny)(?:, (?<why>.+))?$/;
function parseEnd(text: string): PacketEnd {
  if (tryParseAddress(text) !== undefined) return { kind: "address", address: text };
  if (text.startsWith("node:")) return { kind: "node", name: text.slice("node:".length) };
  return { kind: "endpoint", id: text };
}

const protocols = new Map<string, Protocol>([
  ["tcp", "TCP"],
  ["udp", "UDP"],
  ["sctp", "SCTP"],
]);

function parseService(text: string): { protocol: Protocol; destinationPort?: number } {
  if (text === "icmp") return { protocol: "ICMP" };
  const [name = "", port = ""] = text.split("/");
  const protocol = protocols.get(name);
  if (protocol === undefined || !/^\d+$/.test(port)) {
    throw new Error(`expected tcp/80, udp/53 or icmp, got "${text}"`);
  }
  return { protocol, destinationPort: Number(port) };
}

/** Names with a namespace are NetworkPolicies'. */
function policyId(name: string): string {
  return `${name.includes("/") ? "" : "Cluster"}NetworkPolicy/${name}`;
}

const simpleReasons = ["default", "own-node", "itself", "outside", "unknown"] as const;

/** e.g. `by shop/p rule 2`, `isolated by shop/p shop/q`, `default`. */
function parseDecision(text: string): ExpectedDecision {
  const simple = simpleReasons.find((each) => each === text);
  if (simple !== undefined) return { kind: simple };
  const [, policy, rule] = /^by (\S+) rule (\d+)$/.exec(text) ?? [];
  if (policy !== undefined) {
    return { kind: "rule", policy: policyId(policy), rule: Number(rule) - 1 };
  }
  const [, isolating] = /^isolated by (.+)$/.exec(text) ?? [];
  if (isolating === undefined) throw new Error(`expected what decided, got "${text}"`);
  return { kind: "isolated", policies: isolating.split(" ").map(policyId) };
}

function parseDecisions(parts: readonly string[]): ExpectedPacket["decisions"] {
  const decisions: Partial<Record<Direction, ExpectedDecision>> = {};
  for (const part of parts) {
    const direction = (["egress", "ingress"] as const).find((each) => part.startsWith(`${each} `));
    if (direction === undefined) throw new Error(`expected a direction, got "${part}"`);
    decisions[direction] = parseDecision(part.slice(direction.length + 1));
  }
  return decisions;
}

/** A line stands for the product of its lists, and between pods for both families unless it names one. */
function parseLine(line: string): ExpectedPacket[] {
  const groups = linePattern.exec(line)?.groups;
  if (groups === undefined)
    throw new Error(`expected "from -> to service: verdict", got "${line}"`);
  const { from = "", to = "", services = "", family, why } = groups;
  const verdict = groups["verdict"] === "allow" ? "allow" : "deny";
  const decisions = parseDecisions(why?.split(", ") ?? []);
  const packets: ExpectedPacket[] = [];
  for (const [source, destination, service] of product(from, to, services)) {
    const ends = { source: parseEnd(source), destination: parseEnd(destination) };
    const fixed = [source, destination]
      .map((text) => tryParseAddress(text)?.family)
      .filter((each) => each !== undefined);
    const families =
      family === undefined ? ([4, 6] as const) : ([family === "v4" ? 4 : 6] as const);
    for (const each of fixed.length > 0 ? fixed.slice(0, 1) : families) {
      packets.push({
        text: `${source} -> ${destination} ${service} v${each}`,
        packet: { ...ends, ...parseService(service), family: each },
        verdict,
        decisions,
      });
    }
  }
  return packets;
}

function* product(from: string, to: string, services: string): Generator<[string, string, string]> {
  for (const source of from.split(",")) {
    for (const destination of to.split(",")) {
      for (const service of services.split(",")) yield [source, destination, service];
    }
  }
}

function parseCase(topic: string, text: CaseText): PolicyCase {
  try {
    const lines = text.expect.split("\n").map((line) => line.replace(/#.*/, "").trim());
    return {
      name: text.name,
      topic,
      objects: renderObjects(text.cluster ?? {}, text.policies ?? {}),
      packets: lines.filter((line) => line !== "").flatMap(parseLine),
      lookups: Object.entries(text.lookups ?? {}).flatMap(([endpoint, names]) =>
        Object.entries(names).flatMap(([name, addresses]) =>
          addresses.map((address) => ({ endpoint, name, address })),
        ),
      ),
    };
  } catch (error) {
    throw new Error(`${topic}: ${text.name}`, { cause: error });
  }
}

/** All cases, in the order of their files. @throws {Error} when a case cannot be read */
export function loadPolicyCases(): readonly PolicyCase[] {
  return policyCaseTopics.flatMap((topic) => {
    const yaml = readFileSync(new URL(`${topic}.yaml`, import.meta.url), "utf8");
    const texts: readonly CaseText[] = parse(yaml);
    return texts.map((text) => parseCase(topic, text));
  });
}
