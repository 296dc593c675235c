// What the pipeline is told: resources of the controller, and facts that only the node knows.
import type { Resource } from "../southbound/resources.ts";

/** The switch port that a local endpoint is attached to. */
interface PortFact {
  readonly kind: "port";
  /** The endpoint's id. */
  readonly id: string;
  readonly ofport: number;
}

/** The port that carries packets to and from other nodes (`remote_ip=flow`, `key=flow`). */
interface TunnelFact {
  readonly kind: "tunnel";
  /** Name of the port; only one is used. */
  readonly id: string;
  readonly ofport: number;
}

/** The port to the node's own network stack: for its own addresses, and for all outside the domain's pools. */
export interface GatewayFact {
  readonly kind: "gateway";
  /** Name of the domain that the port belongs to. */
  readonly id: string;
  readonly ofport: number;
  /** MAC of the node's end. */
  readonly mac: string;
}

/** An address that a local endpoint has looked up. */
export interface LookupFact {
  readonly kind: "lookup";
  /** Of endpoint and address. */
  readonly id: string;
  readonly endpoint: string;
  /** In canonical text form (RFC 5952); another form is no address. */
  readonly address: string;
  /** All names under which it was the answer; canonical. */
  readonly names: readonly string[];
}

/** The time, as far as flows depend on it. */
interface ClockFact {
  readonly kind: "clock";
  /** There is one. */
  readonly id: "clock";
  /** Since 1970. */
  readonly seconds: number;
}

/** What a port of the switch means. */
export type PortsFact = PortFact | TunnelFact | GatewayFact;

export type LocalFact = PortsFact | LookupFact | ClockFact;

interface LocalFactKey {
  readonly kind: LocalFact["kind"];
  readonly id: string;
}

/** As `Delta`, for local facts. */
export interface LocalDelta {
  readonly upserts: readonly LocalFact[];
  readonly deletes: readonly LocalFactKey[];
}

type Fact = Resource | LocalFact;
export type FactKind = Fact["kind"];
export type FactOf<Kind extends FactKind> = Extract<Fact, { kind: Kind }>;

/** All facts that hold now, by kind and id. */
export class Facts {
  readonly #byKind: { readonly [Kind in FactKind]: Map<string, FactOf<Kind>> } = {
    domain: new Map(),
    node: new Map(),
    group: new Map(),
    rule: new Map(),
    posture: new Map(),
    endpoint: new Map(),
    service: new Map(),
    backend: new Map(),
    record: new Map(),
    host: new Map(),
    announcement: new Map(),
    check: new Map(),
    port: new Map(),
    tunnel: new Map(),
    gateway: new Map(),
    lookup: new Map(),
    clock: new Map(),
  };

  #of<Kind extends FactKind>(kind: Kind): Map<string, FactOf<Kind>> {
    return this.#byKind[kind];
  }

  get<Kind extends FactKind>(kind: Kind, id: string): FactOf<Kind> | undefined {
    return this.#of(kind).get(id);
  }

  has(kind: FactKind, id: string): boolean {
    return this.#byKind[kind].has(id);
  }

  all<Kind extends FactKind>(kind: Kind): Iterable<FactOf<Kind>> {
    return this.#of(kind).values();
  }

  /** @returns what held before. */
  set<Kind extends FactKind>(
    kind: Kind,
    id: string,
    fact: FactOf<Kind> | undefined,
  ): FactOf<Kind> | undefined {
    const facts = this.#of(kind);
    const before = facts.get(id);
    if (fact === undefined) facts.delete(id);
    else facts.set(id, fact);
    return before;
  }
}
