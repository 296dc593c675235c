// What endpoints have looked up, kept in force: in the file, on the switch, and for as long as it counts.
import type { LocalDelta } from "../../pipeline/fact.ts";
import type { EndpointResource } from "../../southbound/resources.ts";
import type { TrackedConnection } from "../connections/connection-table.ts";
import { type LookupChanges, LookupTable } from "./lookup-table.ts";
import type { NodeState } from "../node-state.ts";
import type { StateFile } from "../state-file.ts";

const sweepIntervalMs = 5_000;
/** How often it is looked whether what has ended still has connections. */
const endedIntervalMs = 300_000;

export interface LookupsOptions {
  readonly state: NodeState;
  readonly file: Pick<StateFile, "lookups" | "writeLookups">;
  readonly now: () => number;
  /** Has the switch changed; settles when it has confirmed. */
  readonly apply: (delta: LocalDelta) => Promise<void>;
  /** The file cannot be written: what is learnt counts until the agent ends. */
  readonly onUnsaved: (error: unknown) => void;
  /** The tracked connections are to be looked at. */
  readonly onEnded: () => void;
}

export class Lookups implements Disposable {
  readonly table: LookupTable;
  readonly #options: LookupsOptions;
  /** By local endpoint, what tells it from another of its name. */
  readonly #holders = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  #askedMs: number;

  constructor(options: LookupsOptions) {
    this.#options = options;
    this.#askedMs = options.now();
    this.table = new LookupTable(options.file.lookups(), options.now());
    this.#timer = setInterval(() => this.#sweep(), sweepIntervalMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Patterns that rules name. */
  *patterns(): Generator<string, void, undefined> {
    for (const { domainNames = [] } of this.#options.state.all("group")) yield* domainNames;
  }

  /** What is other than before is stored and put in force; settles when the switch has confirmed. */
  async settle(): Promise<void> {
    const changes = this.table.takeChanges();
    this.#store(changes);
    const { upserts, deletes } = changes.facts;
    if (upserts.length + deletes.length > 0) await this.#options.apply(changes.facts);
  }

  /** Puts in force what the file held, but for endpoints that are not here any more. */
  restore(local: ReadonlyMap<string, EndpointResource>): void {
    for (const [id, endpoint] of local) this.setEndpoint(id, endpoint);
    for (const id of this.table.endpoints()) if (!local.has(id)) this.setEndpoint(id, undefined);
    this.#settleSoon();
  }

  /** A local endpoint as it is now: another of its name begins without lookups. */
  setEndpoint(id: string, endpoint: EndpointResource | undefined): void {
    const holder = endpoint === undefined ? undefined : (endpoint.uids ?? []).join(" ");
    const before = this.#holders.get(id);
    if (holder === undefined) this.#holders.delete(id);
    else this.#holders.set(id, holder);
    if (holder !== undefined && (before === undefined || before === holder)) return;
    if (!this.table.has(id)) return;
    this.table.forget(id);
    this.#settleSoon();
  }

  /** Forgets what has ended and has no connection any more. */
  keep(
    connections: readonly TrackedConnection[],
    endpointAt: (connection: TrackedConnection) => string | undefined,
  ): void {
    if (this.table.ended === 0) return;
    const used = new Set(
      connections.map((each) => `${endpointAt(each) ?? ""} ${each.destination}`),
    );
    this.table.dropEnded(({ endpoint, address }) => used.has(`${endpoint} ${address}`));
    this.#settleSoon();
  }

  #sweep(): void {
    const { now, onEnded } = this.#options;
    this.table.expire(now());
    this.#settleSoon();
    if (this.table.ended === 0 || now() - this.#askedMs < endedIntervalMs) return;
    this.#askedMs = now();
    onEnded();
  }

  /** A switch that does not confirm now gets all that is wanted when it is back. */
  #settleSoon(): void {
    this.settle().catch(() => undefined);
  }

  #store(changes: LookupChanges): void {
    try {
      this.#options.file.writeLookups(changes);
    } catch (error) {
      this.#options.onUnsaved(error);
    }
  }
}
