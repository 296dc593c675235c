// Services over UDP as the tracked connections are held to them. A connection goes to the same backend as long as it sends, also
// when that is gone, and its sender would never hear of it. TCP finds out by itself.
import { formatAddress, tryParseAddress } from "../../net/address.ts";
import { protocolNumbers } from "../../net/protocol.ts";
import { nodePortAddresses } from "../../pipeline/virtual-address.ts";
import type { ServiceResource } from "../../southbound/resources.ts";
import type { TrackedConnection } from "./connection-table.ts";
import type { NodeState } from "../node-state.ts";

/** By one state of the node: to be made anew for each look at the connections. */
export class DatagramServices {
  readonly #state: NodeState;
  /** Where it is reached in its domain → its id; two with the same have none. */
  readonly #frontends = new Map<string, string>();
  /** Service → address and port of its backends. */
  readonly #backends = new Map<string, Set<string>>();
  readonly #domains = new Map<number, string | undefined>();

  constructor(state: NodeState) {
    this.#state = state;
    const nodeAddresses = state.all("node").flatMap(({ addresses }) => addresses.map(canonical));
    for (const service of state.all("service")) {
      if (service.protocol !== "UDP") continue;
      for (const place of placesOf(service, nodeAddresses)) this.#frontends.set(place, service.id);
      this.#backends.set(service.id, new Set());
    }
    for (const { service, address, port } of state.all("backend")) {
      this.#backends.get(service)?.add(`${canonical(address)} ${port}`);
    }
  }

  /** Whether it goes to what is no backend of the service that its sender has asked for. */
  isStranded(connection: TrackedConnection): boolean {
    const { protocol, destination, destinationPort, server, serverPort, zone } = connection;
    if (protocol !== protocolNumbers.UDP) return false;
    const domain = this.#domainOf(zone);
    if (domain === undefined) return false;
    const service = this.#frontends.get(`${domain} ${destination} ${destinationPort}`);
    // Nothing but a service has translated it.
    if (service === undefined) return server !== destination || serverPort !== destinationPort;
    return this.#backends.get(service)?.has(`${server} ${serverPort}`) !== true;
  }

  #domainOf(zone: number): string | undefined {
    if (!this.#domains.has(zone)) {
      this.#domains.set(zone, this.#state.numbers.keyOf("domain", zone));
    }
    return this.#domains.get(zone);
  }
}

function canonical(text: string): string {
  const address = tryParseAddress(text);
  return address === undefined ? text : formatAddress(address);
}

function placesOf(service: ServiceResource, nodeAddresses: readonly string[]): readonly string[] {
  const { domain, frontends, nodePort, family } = service;
  const own = frontends.map(({ address, port }) => `${domain} ${canonical(address)} ${port}`);
  if (nodePort === undefined) return own;
  const atNodes = [nodePortAddresses[family], ...nodeAddresses];
  return [...own, ...atNodes.map((address) => `${domain} ${address} ${nodePort}`)];
}
