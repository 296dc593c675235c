// What the pipeline is told: resources of the controller, and facts that only the node knows.
import type { Resource } from "../southbound/resources.ts";

/** The switch port that a local endpoint is attached to. */
export interface PortFact {
  readonly kind: "port";
  /** The endpoint's id. */
  readonly id: string;
  readonly ofport: number;
}

/** The port that carries packets to and from other nodes (`remote_ip=flow`, `key=flow`). */
export interface TunnelFact {
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

export type LocalFact = PortFact | TunnelFact | GatewayFact;

export interface LocalFactKey {
  readonly kind: LocalFact["kind"];
  readonly id: string;
}

/** As `Delta`, for local facts. */
export interface LocalDelta {
  readonly upserts: readonly LocalFact[];
  readonly deletes: readonly LocalFactKey[];
}

export type Fact = Resource | LocalFact;
export type FactKind = Fact["kind"];
export type FactOf<Kind extends FactKind> = Extract<Fact, { kind: Kind }>;

/** One fact that came, changed or went; at least one side is there, and both have the same kind and id. */
export type Change = {
  [Kind in FactKind]: {
    readonly kind: Kind;
    readonly id: string;
    readonly before: FactOf<Kind> | undefined;
    readonly after: FactOf<Kind> | undefined;
  };
}[FactKind];

/** All facts that hold now, by kind and id. */
export class Facts {
  readonly #byKind = new Map<FactKind, Map<string, Fact>>();

  get<Kind extends FactKind>(kind: Kind, id: string): FactOf<Kind> | undefined {
    return this.#byKind.get(kind)?.get(id) as FactOf<Kind> | undefined;
  }

  has(kind: FactKind, id: string): boolean {
    return this.#byKind.get(kind)?.has(id) ?? false;
  }

  all<Kind extends FactKind>(kind: Kind): Iterable<FactOf<Kind>> {
    return (this.#byKind.get(kind)?.values() ?? []) as Iterable<FactOf<Kind>>;
  }

  /** @returns what held before. */
  set(kind: FactKind, id: string, fact: Fact | undefined): Fact | undefined {
    const facts = this.#byKind.get(kind) ?? new Map<string, Fact>();
    this.#byKind.set(kind, facts);
    const before = facts.get(id);
    if (fact === undefined) facts.delete(id);
    else facts.set(id, fact);
    return before;
  }
}
