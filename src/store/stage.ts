import { LeaseNotFoundError } from "./errors.ts";
import type { History } from "./history.ts";
import type { Change } from "./journal.ts";
import type {
  Compare,
  KeyValue,
  Operation,
  StoreEvent,
  Transaction,
  TransactionResult,
} from "./store.ts";

/** Transactions evaluated one after another on top of a history that does not know of them yet. */
export class Stage {
  readonly #history: History;
  readonly #leaseExists: (lease: number) => boolean;
  readonly #entries = new Map<string, KeyValue | undefined>();
  readonly #events: StoreEvent[] = [];
  #revision: number;

  constructor(history: History, leaseExists: (lease: number) => boolean) {
    this.#history = history;
    this.#leaseExists = leaseExists;
    this.#revision = history.revision;
  }

  /** In order of revision. */
  get events(): readonly StoreEvent[] {
    return this.#events;
  }

  get changes(): Change[] {
    return this.#events.map((event) => ({
      revision: event.revision,
      key: event.entry.key,
      entry: event.kind === "put" ? event.entry : undefined,
    }));
  }

  /** @throws {LeaseNotFoundError} and stages nothing */
  transact(transaction: Transaction): TransactionResult {
    const succeeded = (transaction.compare ?? []).every((compare) => this.#holds(compare));
    const operations = succeeded ? transaction.success : (transaction.failure ?? []);
    this.#check(operations);
    const revision = this.#revision + 1;
    const before = this.#events.length;
    const entries = operations.map((operation) => this.#run(operation, revision));
    if (this.#events.length > before) this.#revision = revision;
    return { succeeded, revision: this.#revision, entries };
  }

  #holds({ key, target, operator, value }: Compare): boolean {
    const actual = this.#get(key)?.[target] ?? 0;
    switch (operator) {
      case "=":
        return actual === value;
      case "!=":
        return actual !== value;
      case "<":
        return actual < value;
      case ">":
        return actual > value;
    }
  }

  #check(operations: readonly Operation[]): void {
    const written = new Set<string>();
    for (const operation of operations) {
      if (operation.kind === "get") continue;
      if (written.has(operation.key)) throw new TypeError(`key ${operation.key} is written twice`);
      written.add(operation.key);
      if (operation.kind === "put" && operation.lease !== undefined) {
        if (!this.#leaseExists(operation.lease)) throw new LeaseNotFoundError(operation.lease);
      }
    }
  }

  #run(operation: Operation, revision: number): KeyValue | undefined {
    const { key } = operation;
    const previous = this.#get(key);
    switch (operation.kind) {
      case "get":
        return previous;
      case "delete":
        if (previous === undefined) return undefined;
        this.#entries.set(key, undefined);
        this.#events.push({ kind: "delete", revision, entry: previous });
        return previous;
      case "put": {
        const entry: KeyValue = {
          key,
          value: operation.value,
          createRevision: previous?.createRevision ?? revision,
          modRevision: revision,
          version: (previous?.version ?? 0) + 1,
          ...(operation.lease !== undefined && { lease: operation.lease }),
        };
        this.#entries.set(key, entry);
        this.#events.push({ kind: "put", revision, entry, ...(previous && { previous }) });
        return entry;
      }
    }
  }

  #get(key: string): KeyValue | undefined {
    return this.#entries.has(key) ? this.#entries.get(key) : this.#history.get(key);
  }
}
