// What local endpoints have looked up: for each endpoint addresses, their names, and until when. Bounded, whatever endpoints
// ask for and resolvers answer. Times are in milliseconds since 1970, as they must outlive a restart.
import type { LocalDelta, LookupFact } from "../../pipeline/fact.ts";

/** One name of an address for one endpoint. */
export interface LookupEntry {
  readonly endpoint: string;
  /** In canonical text form. */
  readonly address: string;
  /** Canonical. */
  readonly name: string;
  readonly expiresMs: number;
}

/** Names of an address, by when they end. */
type Names = Map<string, number>;

/** What is other than it was: facts for the pipeline, rows for the file. */
export interface LookupChanges {
  readonly facts: LocalDelta;
  readonly puts: readonly LookupEntry[];
  readonly deletes: readonly LookupEntry[];
}

export interface LookupLimits {
  /** Names of addresses for one endpoint; beyond, those that end first make room. */
  readonly perEndpoint: number;
  readonly inAll: number;
}

const defaultLimits: LookupLimits = { perEndpoint: 2_048, inAll: 65_536 };

function idOf(endpoint: string, address: string): string {
  return `${endpoint} ${address}`;
}

function idOfEntry({ endpoint, address, name }: LookupEntry): string {
  return `${idOf(endpoint, address)} ${name}`;
}

export class LookupTable {
  readonly #limits: LookupLimits;
  readonly #endpoints = new Map<string, Map<string, Names>>();
  /** What has ended and may still have connections, which are not to be cut for it. */
  #ended: LookupEntry[] = [];
  /** Addresses whose facts may be others than were last told. */
  readonly #touched = new Map<string, { readonly endpoint: string; readonly address: string }>();
  #puts: LookupEntry[] = [];
  #deletes: LookupEntry[] = [];
  #size = 0;

  /** @param entries what the file holds: what has ended meanwhile as well. */
  constructor(entries: Iterable<LookupEntry>, nowMs: number, limits = defaultLimits) {
    this.#limits = limits;
    for (const entry of entries) {
      if (entry.expiresMs > nowMs) this.learn(entry);
      else this.#end(entry);
    }
    this.#puts = [];
  }

  /** Names of addresses that are in force. */
  get size(): number {
    return this.#size;
  }

  /** How many have ended and are kept for their connections. */
  get ended(): number {
    return this.#ended.length;
  }

  has(endpoint: string): boolean {
    return (
      this.#endpoints.has(endpoint) || this.#ended.some((entry) => entry.endpoint === endpoint)
    );
  }

  endpoints(): readonly string[] {
    return [...new Set([...this.#endpoints.keys(), ...this.#ended.map((each) => each.endpoint)])];
  }

  /** In force. */
  *entries(): Generator<LookupEntry, void, undefined> {
    for (const [endpoint, addresses] of this.#endpoints) {
      for (const [address, names] of addresses) {
        for (const [name, expiresMs] of names) yield { endpoint, address, name, expiresMs };
      }
    }
  }

  /** What a connection to the address may have been admitted for: in force, or ended. */
  namesOf(endpoint: string, address: string): readonly string[] {
    const ended = this.#ended.filter(
      (entry) => entry.endpoint === endpoint && entry.address === address,
    );
    const names = this.#endpoints.get(endpoint)?.get(address)?.keys() ?? [];
    return [...names, ...ended.map(({ name }) => name)];
  }

  /** Whether rules that name the name have not matched the address before: the switch must be told. */
  learn(entry: LookupEntry): boolean {
    const { endpoint, address, name, expiresMs } = entry;
    const addresses = this.#endpoints.get(endpoint) ?? new Map<string, Names>();
    this.#endpoints.set(endpoint, addresses);
    const names = addresses.get(address) ?? new Map<string, number>();
    addresses.set(address, names);
    const known = names.get(name);
    if (known !== undefined && known >= expiresMs) return false;
    names.set(name, expiresMs);
    this.#puts.push(entry);
    if (known !== undefined) return false;
    this.#ended = this.#ended.filter((each) => idOfEntry(each) !== idOfEntry(entry));
    this.#size += 1;
    this.#touch(endpoint, address);
    this.#makeRoom(endpoint);
    return true;
  }

  /** Takes what has ended out of force. O(all). */
  expire(nowMs: number): void {
    for (const entry of this.entries()) {
      if (entry.expiresMs > nowMs) continue;
      this.#remove(entry);
      this.#end(entry);
    }
  }

  /** Forgets what has ended and is in nobody's use. */
  dropEnded(isInUse: (entry: LookupEntry) => boolean): void {
    const kept = this.#ended.filter(isInUse);
    const keptSet = new Set(kept);
    this.#deletes.push(...this.#ended.filter((entry) => !keptSet.has(entry)));
    this.#ended = kept;
  }

  /** Forgets all that the endpoint has looked up. */
  forget(endpoint: string): void {
    for (const [address, names] of this.#endpoints.get(endpoint) ?? []) {
      for (const [name, expiresMs] of names) {
        const entry = { endpoint, address, name, expiresMs };
        this.#remove(entry);
        this.#deletes.push(entry);
      }
    }
    this.dropEnded((entry) => entry.endpoint !== endpoint);
  }

  /** What is other than when it was last taken. A row may be in both lists: it is deleted first. */
  takeChanges(): LookupChanges {
    const upserts: LookupFact[] = [];
    const gone: { kind: "lookup"; id: string }[] = [];
    for (const [id, { endpoint, address }] of this.#touched) {
      const names = this.#endpoints.get(endpoint)?.get(address);
      if (names === undefined) gone.push({ kind: "lookup", id });
      else {
        const sorted = [...names.keys()].toSorted();
        upserts.push({ kind: "lookup", id, endpoint, address, names: sorted });
      }
    }
    // What was put and then ended or was forgotten is not to come back with the next start.
    const puts = this.#puts.filter(({ endpoint, address, name, expiresMs }) => {
      return this.#endpoints.get(endpoint)?.get(address)?.get(name) === expiresMs;
    });
    const changes = { facts: { upserts, deletes: gone }, puts, deletes: this.#deletes };
    this.#touched.clear();
    this.#puts = [];
    this.#deletes = [];
    return changes;
  }

  #touch(endpoint: string, address: string): void {
    this.#touched.set(idOf(endpoint, address), { endpoint, address });
  }

  /** The longest ended makes room. */
  #end(entry: LookupEntry): void {
    this.#ended.push(entry);
    if (this.#ended.length <= this.#limits.inAll) return;
    const oldest = this.#ended.shift();
    if (oldest !== undefined) this.#deletes.push(oldest);
  }

  #remove({ endpoint, address, name }: LookupEntry): void {
    const addresses = this.#endpoints.get(endpoint);
    const names = addresses?.get(address);
    if (addresses === undefined || names?.delete(name) !== true) return;
    this.#size -= 1;
    if (names.size === 0) addresses.delete(address);
    if (addresses.size === 0) this.#endpoints.delete(endpoint);
    this.#touch(endpoint, address);
  }

  /** The endpoint that asks makes the room, so that none can push out what others have. */
  #makeRoom(endpoint: string): void {
    const own = this.#endpoints.get(endpoint) ?? new Map<string, Names>();
    let count = 0;
    let first: LookupEntry | undefined;
    for (const [address, names] of own) {
      count += names.size;
      for (const [name, expiresMs] of names) {
        if (first === undefined || expiresMs < first.expiresMs) {
          first = { endpoint, address, name, expiresMs };
        }
      }
    }
    const { perEndpoint, inAll } = this.#limits;
    if (first === undefined || (count <= perEndpoint && this.#size <= inAll)) return;
    this.#remove(first);
    this.#deletes.push(first);
  }
}
