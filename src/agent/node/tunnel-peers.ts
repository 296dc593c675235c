// Who the other nodes are on the underlay, found out before the first packet to them. The switch in user space asks for a
// peer's MAC address when it has a packet for it, and drops that packet: a lost first SYN costs its connection a second.
// So each peer is sent a frame that nobody wants: the question is asked, and the frame, if it arrives, is dropped there.
import { tryParseAddress } from "../../net/address.ts";
import { reservedPorts } from "../../openflow/port-number.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";

/** Shorter than a switch remembers a neighbour, which is 15 minutes. */
const intervalMs = 60_000;
/** The question or its answer may be lost, or the underlay may come up after the agent. */
const firstRepeatsMs = [1_000, 5_000];

/** 60 bytes: to nobody, of a type for local experiments (IEEE 802), in a network with the reserved number 0. */
const frame = new Uint8Array(60);
frame.set([0x0a, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0x88, 0xb5]);

export class TunnelPeers implements Disposable {
  readonly #timers = new Set<NodeJS.Timeout>();
  #repeating: NodeJS.Timeout | undefined;
  #client: OpenFlowClient | undefined;
  #tunnel: number | undefined;
  #addresses: readonly string[] = [];

  /** A new connection to the switch: it may know nobody. */
  connected(client: OpenFlowClient): void {
    this.#client = client;
    this.#repeating ??= setInterval(() => this.#probe(this.#addresses), intervalMs);
    this.#introduce(this.#addresses);
  }

  /** `tunnel` is the tunnel's port number; `addresses` are the peers' on the underlay. */
  update(tunnel: number | undefined, addresses: readonly string[]): void {
    const known = tunnel === this.#tunnel ? this.#addresses : [];
    this.#tunnel = tunnel;
    this.#addresses = addresses;
    this.#introduce(addresses.filter((address) => !known.includes(address)));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#repeating);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #introduce(addresses: readonly string[]): void {
    if (addresses.length === 0) return;
    this.#probe(addresses);
    for (const delayMs of firstRepeatsMs) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#probe(addresses);
      }, delayMs);
      this.#timers.add(timer);
    }
  }

  #probe(addresses: readonly string[]): void {
    const port = this.#tunnel;
    if (port === undefined) return;
    for (const text of addresses) {
      const address = tryParseAddress(text);
      if (address === undefined) continue;
      const field = address.family === 4 ? "tun_dst" : "tun_ipv6_dst";
      this.#client?.packetOut({
        metadata: [{ field: "in_port", value: BigInt(reservedPorts.controller) }],
        actions: [
          { kind: "set-field", field, value: address.bits },
          { kind: "set-field", field: "tun_id", value: 0n },
          { kind: "output", port },
        ],
        data: frame,
      });
    }
  }
}
