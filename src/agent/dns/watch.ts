// Learns the addresses of names from the answers that endpoints get. Only answers count that come back on a connection which the
// endpoint has opened, past its egress policies, to port 53, and that answer a question it asked; what they say counts for this
// endpoint alone. An answer reaches the endpoint when the switch has confirmed what was learnt from it.
import { matchesDomainName } from "../../model/domain-name.ts";
import { type Prefix, prefixContains, tryParseAddress } from "../../net/address.ts";
import { addFlow } from "../../openflow/flow-mod.ts";
import type { PacketIn2 } from "../../openflow/packet.ts";
import { registers } from "../../pipeline/registers.ts";
import { dnsPort, renderWatchBeat } from "../../pipeline/watch-feature.ts";
import type { Log } from "../../runtime/log.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";
import { type DnsQuestion, decodeDnsAnswer, decodeDnsQuery } from "./message.ts";
import type { LookupTable } from "./lookup-table.ts";
import { type UdpFrame, decodeUdpFrame } from "../udp-frame.ts";

/** The agent's flows end so long after it has; until then answers to watched endpoints are lost. */
const beatSeconds = 6;
const beatIntervalMs = 2_000;
/** Resolvers ask again after 5 s. */
const answerMs = 30_000;
const questionsPerEndpoint = 256;

export interface DnsWatchOptions {
  readonly table: LookupTable;
  /** Time since 1970. */
  readonly now: () => number;
  /** The local endpoint at the port. */
  readonly endpointAt: (ofport: number) => string | undefined;
  /** Patterns that rules name. */
  readonly patterns: () => Iterable<string>;
  /** Stores what was learnt and settles once the switch has confirmed it. */
  readonly confirm: () => Promise<void>;
  /** Whose answers count; everybody's that policies let an endpoint ask, where there are none. */
  readonly servers: readonly Prefix[];
  /** Addresses count for at least so long, whatever the answer says. */
  readonly minimumTtlSeconds: number;
  readonly log: Log;
}

/** Addresses count a little longer than the endpoint may believe, as it begins to count later. */
const graceSeconds = 5;
/** A resolver's answer is not believed for longer. */
const maximumTtlSeconds = 86_400;

/** Names as rules and questions have them. */
function textOf(port: number, { id, type, name }: DnsQuestion): string {
  return `${port} ${id} ${type} ${name}`;
}

export class DnsWatch implements Disposable {
  readonly #options: DnsWatchOptions;
  /** Questions without an answer so far, by endpoint: until when one counts. */
  readonly #asked = new Map<string, Map<string, number>>();
  #client: OpenFlowClient | undefined;
  #beating: NodeJS.Timeout | undefined;

  constructor(options: DnsWatchOptions) {
    this.#options = options;
  }

  /** A new connection to the switch. */
  connected(client: OpenFlowClient): void {
    this.#client = client;
    this.#beating ??= setInterval(() => void this.#beat(), beatIntervalMs);
    this.refresh();
  }

  /** Rules may have begun to name names. */
  refresh(): void {
    void this.#beat();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beating);
  }

  /** A packet that the agent's flows have sent. */
  async take(packet: PacketIn2): Promise<void> {
    const { continuation } = packet;
    if (continuation === undefined) {
      this.#takeQuestion(packet);
      return;
    }
    try {
      await this.#takeAnswer(packet);
    } catch (err) {
      this.#options.log.warn({ err }, "nothing learnt from a DNS answer");
    } finally {
      this.#client?.resume(packet);
    }
  }

  /** Where no rule names a name there is nothing to watch, and the switch has no flow for it. */
  async #beat(): Promise<void> {
    const [pattern] = this.#options.patterns();
    if (pattern === undefined) return;
    try {
      await this.#client?.bundle(renderWatchBeat(beatSeconds).map(addFlow));
    } catch (err) {
      this.#options.log.debug({ err }, "DNS answers are not watched");
    }
  }

  #takeQuestion(packet: PacketIn2): void {
    const frame = decodeUdpFrame(packet.data);
    const endpoint = this.#options.endpointAt(Number(fieldOf(packet, "in_port")));
    if (frame === undefined || endpoint === undefined || frame.destinationPort !== dnsPort) return;
    const question = decodeDnsQuery(frame.payload);
    if (question === undefined || !this.#isNamed(question.name)) return;
    const asked = this.#asked.get(endpoint) ?? new Map<string, number>();
    this.#asked.set(endpoint, asked);
    const key = textOf(frame.sourcePort, question);
    asked.delete(key);
    asked.set(key, this.#options.now() + answerMs);
    const [oldest] = asked.keys();
    if (asked.size > questionsPerEndpoint && oldest !== undefined) asked.delete(oldest);
  }

  /** Settles once the switch lets the endpoint reach what was learnt. */
  async #takeAnswer(packet: PacketIn2): Promise<void> {
    const frame = decodeUdpFrame(packet.data);
    const endpoint = this.#options.endpointAt(locationIn(packet));
    if (frame === undefined || endpoint === undefined || !this.#isTrusted(frame)) return;
    const answer = decodeDnsAnswer(frame.payload);
    if (answer === undefined || !this.#wasAsked(endpoint, frame, answer.question)) return;
    const { table, now, minimumTtlSeconds } = this.#options;
    let news = false;
    for (const { address, ttlSeconds } of answer.addresses) {
      const seconds = Math.min(Math.max(ttlSeconds, minimumTtlSeconds), maximumTtlSeconds);
      const expiresMs = now() + (seconds + graceSeconds) * 1_000;
      const entry = { endpoint, address, name: answer.question.name, expiresMs };
      news = table.learn(entry) || news;
    }
    if (news) await this.#options.confirm();
  }

  #isTrusted({ source, sourcePort }: UdpFrame): boolean {
    const { servers } = this.#options;
    const address = tryParseAddress(source);
    if (sourcePort !== dnsPort || address === undefined) return false;
    return servers.length === 0 || servers.some((server) => prefixContains(server, address));
  }

  /** Each question has one answer. */
  #wasAsked(endpoint: string, frame: UdpFrame, question: DnsQuestion): boolean {
    const asked = this.#asked.get(endpoint);
    const key = textOf(frame.destinationPort, question);
    const untilMs = asked?.get(key) ?? 0;
    asked?.delete(key);
    if (asked?.size === 0) this.#asked.delete(endpoint);
    return untilMs > this.#options.now();
  }

  #isNamed(name: string): boolean {
    for (const pattern of this.#options.patterns()) {
      if (matchesDomainName(pattern, name)) return true;
    }
    return false;
  }
}

/** The register of the port that the answer goes to. The switch tells registers in pairs (`xreg6` is reg12 and reg13). */
function locationIn(packet: PacketIn2): number {
  const number = Number(registers.location.field.replace("reg", ""));
  const pair = fieldOf(packet, `xreg${number >> 1}`);
  const half = number % 2 === 0 ? pair >> 32n : pair & 0xffffffffn;
  return Number(fieldOf(packet, registers.location.field) || half);
}

/** A field of the packet's metadata; 0 where it is not told, which is no port's number. */
function fieldOf({ metadata }: PacketIn2, name: string): bigint {
  return metadata.find(({ field }) => field === name)?.value ?? 0n;
}
