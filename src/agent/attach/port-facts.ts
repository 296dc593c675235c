// What the pipeline must know of the switch's ports, kept up to date at the cost of what changed.
import type { LocalDelta, PortsFact } from "../../pipeline/fact.ts";
import type { BridgePort } from "../../switch/bridge-ports.ts";
import type { StoredAttachment } from "../state-file.ts";
import { attachmentOf, gatewayMac, ownPorts } from "./switch-ports.ts";

export interface PortFactsOptions {
  readonly gatewayDomain: string;
  /** Uids of an endpoint's object; `undefined` for an endpoint that is not known. */
  readonly uidsOf: (endpoint: string) => readonly string[] | undefined;
}

interface AttachedPort {
  readonly attachment: StoredAttachment;
  readonly ofport: number;
}

/**
 * A container is an endpoint only while its object is the one that it was attached for: another object of the same name has
 * its own addresses and policies. Of two ports of one endpoint the later attached counts: the other belongs to a container
 * that is on its way out.
 */
export class PortFacts {
  readonly #options: PortFactsOptions;
  readonly #facts = new Map<string, PortsFact>();
  /** By endpoint, then by port. */
  readonly #attached = new Map<string, Map<string, AttachedPort>>();
  readonly #endpointOf = new Map<string, string>();
  /** Endpoints by OpenFlow port number. */
  readonly #endpointAt = new Map<number, string>();

  constructor(options: PortFactsOptions) {
    this.#options = options;
  }

  /** OpenFlow port number of the tunnels. */
  get tunnel(): number | undefined {
    return this.#facts.get("tunnel")?.ofport;
  }

  /** The endpoint behind an OpenFlow port number. */
  endpointAt(ofport: number): string | undefined {
    return this.#endpointAt.get(ofport);
  }

  /** Takes in how ports are now, by name; `undefined` is gone. @returns which facts are others now */
  update(names: Iterable<string>, ports: ReadonlyMap<string, BridgePort>): LocalDelta {
    const endpoints = new Set<string>();
    const changes = new Changes();
    for (const name of names) {
      const port = ports.get(name);
      if (name === ownPorts.tunnel.name) this.#set("tunnel", tunnelFact(port), changes);
      else if (name === ownPorts.gateway.name)
        this.#set("gateway", this.#gatewayFact(port), changes);
      else for (const endpoint of this.#put(name, port)) endpoints.add(endpoint);
    }
    this.#decide(endpoints, changes);
    return changes;
  }

  /** To be called when the objects of endpoints have come, changed or gone. @returns which facts are others now */
  recheck(endpoints: Iterable<string>): LocalDelta {
    const changes = new Changes();
    this.#decide(endpoints, changes);
    return changes;
  }

  #gatewayFact(port: BridgePort | undefined): PortsFact | undefined {
    const { gatewayDomain: id } = this.#options;
    if (port?.ofport === undefined) return undefined;
    return { kind: "gateway", id, ofport: port.ofport, mac: gatewayMac };
  }

  /** Gives the endpoints that it concerns. */
  #put(name: string, port: BridgePort | undefined): readonly string[] {
    const before = this.#endpointOf.get(name);
    if (before !== undefined) {
      const others = this.#attached.get(before);
      others?.delete(name);
      if (others?.size === 0) this.#attached.delete(before);
      this.#endpointOf.delete(name);
    }
    const attachment = port && attachmentOf(port);
    if (attachment === undefined || port?.ofport === undefined) {
      return before === undefined ? [] : [before];
    }
    const { endpoint } = attachment;
    const own = this.#attached.get(endpoint) ?? new Map<string, AttachedPort>();
    own.set(name, { attachment, ofport: port.ofport });
    this.#attached.set(endpoint, own);
    this.#endpointOf.set(name, endpoint);
    return before === undefined ? [endpoint] : [before, endpoint];
  }

  #decide(endpoints: Iterable<string>, changes: Changes): void {
    for (const id of endpoints) {
      const ofport = this.#chosen(id)?.ofport;
      const key = `port/${id}`;
      this.#set(key, ofport === undefined ? undefined : { kind: "port", id, ofport }, changes);
    }
  }

  #chosen(id: string): AttachedPort | undefined {
    const uids = this.#options.uidsOf(id);
    let latest: AttachedPort | undefined;
    for (const one of this.#attached.get(id)?.values() ?? []) {
      const { uid } = one.attachment;
      if (uid !== undefined && uids?.includes(uid) === false) continue;
      if (latest === undefined || isLater(one, latest)) latest = one;
    }
    return latest;
  }

  #set(key: string, fact: PortsFact | undefined, changes: Changes): void {
    const before = this.#facts.get(key);
    if (before?.ofport === fact?.ofport) return;
    if (before?.kind === "port" && this.#endpointAt.get(before.ofport) === before.id) {
      this.#endpointAt.delete(before.ofport);
    }
    if (fact === undefined) {
      this.#facts.delete(key);
      if (before !== undefined) changes.deletes.push({ kind: before.kind, id: before.id });
      return;
    }
    this.#facts.set(key, fact);
    if (fact.kind === "port") this.#endpointAt.set(fact.ofport, fact.id);
    changes.upserts.push(fact);
  }
}

class Changes {
  readonly upserts: LocalDelta["upserts"][number][] = [];
  readonly deletes: LocalDelta["deletes"][number][] = [];
}

function tunnelFact(port: BridgePort | undefined): PortsFact | undefined {
  if (port?.ofport === undefined) return undefined;
  return { kind: "tunnel", id: ownPorts.tunnel.name, ofport: port.ofport };
}

/** No two ports are equal in this order: what counts does not depend on which was seen first. */
function isLater(one: AttachedPort, other: AttachedPort): boolean {
  const byTime = one.attachment.attachedMs - other.attachment.attachedMs;
  return byTime === 0 ? one.ofport > other.ofport : byTime > 0;
}
