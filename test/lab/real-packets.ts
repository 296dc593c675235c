// Packets as the evaluator knows them, sent for real in a lab: from pods, from nodes, and from any address outside.
import { runIp } from "../../src/runtime/command.ts";
import { isObject } from "../../src/apimachinery/json.ts";
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import { type Cluster, translateCluster } from "../../src/kubernetes/cluster.ts";
import { netnsPath, runScript } from "../../src/lab/network/command.ts";
import { type ProbeOutcome, type ProbeRequest, Prober } from "../../src/lab/network/prober.ts";
import { formatAddress, parseAddress, tryParseAddress } from "../../src/net/address.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Packet, PacketEnd } from "../../src/policy/packet.ts";
import { PolicyModel } from "../../src/policy/policy-model.ts";
import type { Answer } from "../../src/policy/verdict.ts";
import { formatPacket } from "../arbitrary/packets.ts";
import type { TestLab } from "./harness.ts";

/** What must become of a packet. */
export interface Expected {
  readonly packet: Packet;
  readonly verdict: Answer;
}

/** No answer for this long is taken for the expected denial: an answer that comes takes a few milliseconds. */
const denialMs = 150;
/** No answer for this long is a denial where none was expected. */
const patienceMs = 2_000;

const protocols = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** The external host that gets every address outside: its own, by which the fabric reaches the others. */
const outside = { 4: "198.51.100.10", 6: "2001:db8:1::10" } as const;

/** Any router has the first address of its networks: RFC 4291 section 2.6.1. */
const anycast = new Set(["2001:db8:1::", "2001:db8:2::", "2001:db8:3::"]);

/** The UDP listener of that host answers from another of its addresses than was asked. A refusal shows as much. */
const refuseUdp = [
  "nft add table inet test",
  "nft add chain inet test input '{ type filter hook input priority 0; }'",
  "nft add rule inet test input udp dport 1-32767 reject",
];

function isKubeObject(value: unknown): value is KubeObject {
  return isObject(value) && typeof value["kind"] === "string" && isObject(value["metadata"]);
}

export class RealPackets {
  readonly #lab: TestLab;
  readonly #prober = new Prober();
  readonly #outside = new Set<string>([outside[4], outside[6]]);
  #cluster: Cluster = translateCluster([]);
  #model = new PolicyModel(this.#cluster);
  /** Network namespaces by the addresses that are in them, without the outside. */
  #places = new Map<string, string>();

  private constructor(lab: TestLab) {
    this.#lab = lab;
  }

  /** The lab's other external hosts lose their networks: every address outside is at one place. */
  static async open(lab: TestLab): Promise<RealPackets> {
    const packets = new RealPackets(lab);
    const others = ["address flush dev ext1", "address flush dev ext2"];
    await runIp(others, packets.#netnsName("fabric"));
    await runScript(packets.#netnsName("external.internet"), refuseUdp);
    return packets;
  }

  /** Takes the settled lab's objects as what the evaluator is asked about from now on. */
  async read(): Promise<readonly KubeObject[]> {
    const objects = (await this.#lab.objects()).filter(isKubeObject);
    this.#cluster = translateCluster(objects);
    this.#model = new PolicyModel(this.#cluster);
    const { endpoints, nodes } = this.#cluster;
    this.#places = new Map([
      ...nodes.flatMap(({ name, addresses }) =>
        addresses.map((address) => [address, this.#lab.nodeNetns(name)] as const),
      ),
      ...endpoints.flatMap(({ id, addresses }) =>
        addresses.map((address) => [address, this.#lab.podNetns(id)] as const),
      ),
    ]);
    return objects;
  }

  evaluate(packet: Packet): Answer {
    return evaluate(this.#model, packet).verdict;
  }

  /**
   * Whether it is sent: not without ports, and not where an end's kernel is in the way. SCTP is sent to pods, as only they
   * answer for each port, and in one direction between two addresses: tracked without ports, each direction would pass
   * for the answer to the other.
   */
  sends({ protocol, source, destination, family = 4 }: Packet): boolean {
    const [from = "", to = ""] = [source, destination].map((end) => this.#addressOf(end, family));
    if (protocol === "ICMP" || anycast.has(from) || anycast.has(to)) return false;
    return protocol !== "SCTP" || (from < to && this.#isPod(to));
  }

  /** Sends the packets, many at once. @returns a line for each that came to something else than expected */
  async send(all: readonly Expected[]): Promise<string[]> {
    await this.#haveOutside(all.map(({ packet }) => packet));
    const lines = await Promise.all(all.map(async (expected) => await this.#sendOne(expected)));
    return lines.filter((line) => line !== undefined);
  }

  async #sendOne({ packet, verdict }: Expected): Promise<string | undefined> {
    const { protocol, destinationPort: port = 0, family = 4 } = packet;
    if (protocol === "ICMP") throw new Error("only packets to ports are sent");
    const to = this.#addressOf(packet.destination, family);
    const origin = this.#originOf(packet);
    // An end without an address in the family can neither send nor be reached.
    if (to === undefined || origin === undefined) {
      return verdict === "deny" ? undefined : `${formatPacket(packet)}: an end has no address`;
    }
    const timeoutMs = verdict === "deny" ? denialMs : patienceMs;
    const request = { ...origin, to, port, protocol: protocols[protocol], timeoutMs };
    const outcome = await this.#prober.probe(request);
    if (answerOf(outcome) === verdict) return undefined;
    const { verdict: actual, message = "" } = outcome;
    return `${formatPacket(packet)}: ${actual} ${message}, not ${verdict}`;
  }

  /** Where the packet starts, `undefined` when that has no address of the family. */
  #originOf({ source, family = 4 }: Packet): Pick<ProbeRequest, "netns" | "from"> | undefined {
    const from = this.#addressOf(source, family);
    if (from === undefined) return undefined;
    return { netns: this.#places.get(from) ?? this.#netns("external.internet"), from };
  }

  #isPod(address: string): boolean {
    return this.#cluster.endpoints.some(({ addresses }) => addresses.includes(address));
  }

  #addressOf(end: PacketEnd, family: 4 | 6): string | undefined {
    if (end.kind === "address") return formatAddress(parseAddress(end.address));
    const { endpoints, nodes } = this.#cluster;
    const found =
      end.kind === "endpoint"
        ? endpoints.find(({ id }) => id === end.id)
        : nodes.find(({ name }) => name === end.name);
    return found?.addresses.find((text) => tryParseAddress(text)?.family === family);
  }

  /** Gives the addresses that no pod and no node has to the host outside. */
  async #haveOutside(packets: readonly Packet[]): Promise<void> {
    const ends = packets.flatMap(({ source, destination }) => [source, destination]);
    const addresses = new Set(
      ends.flatMap((end) =>
        end.kind === "address" ? [formatAddress(parseAddress(end.address))] : [],
      ),
    );
    const lacking = [...addresses].filter(
      (address) => !this.#places.has(address) && !this.#outside.has(address),
    );
    for (const address of lacking) this.#outside.add(address);
    const routers = lacking.map(
      (address) => `route replace ${address} via ${outside[familyOf(address)]}`,
    );
    await runIp(
      lacking.map((address) => `address add ${address} dev lo nodad`),
      this.#netnsName("external.internet"),
    );
    await runIp(routers, this.#netnsName("fabric"));
  }

  #netnsName(part: string): string {
    return `isobar-${this.#lab.paths.name}.${part}`;
  }

  #netns(part: string): string {
    return netnsPath(this.#netnsName(part));
  }
}

function familyOf(address: string): 4 | 6 {
  return parseAddress(address).family;
}

/** A port where nobody listens answers, too: the packet came through. */
function answerOf({ verdict, message }: ProbeOutcome): Answer | undefined {
  if (verdict === "allowed" || verdict === "refused") return "allow";
  if (verdict === "denied") return "deny";
  // No way there, as the sender's own kernel knows.
  return message === "EHOSTUNREACH" || message === "ENETUNREACH" ? "deny" : undefined;
}
