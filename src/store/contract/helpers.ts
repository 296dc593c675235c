import type { Store, StoreEvent, WatchBatch, WatchRequest } from "../store.ts";

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** Lets time pass for leases. */
  readonly advance: (ms: number) => Promise<void>;
}

/** By name, a sentence of what a store does. Each gets an empty store. */
export type Contract = Readonly<Record<string, (under: StoreUnderTest) => Promise<void>>>;

/** Puts one key and returns the revision. */
export async function put(store: Store, key: string, value: string): Promise<number> {
  return (await store.transact({ success: [{ kind: "put", key, value }] })).revision;
}

export async function remove(store: Store, key: string): Promise<number> {
  return (await store.transact({ success: [{ kind: "delete", key }] })).revision;
}

/** Reads batches until everything up to the store's present has come. */
export async function watchUntilNow(store: Store, request: WatchRequest): Promise<WatchBatch[]> {
  const now = await store.currentRevision();
  const watcher = store.watch(request);
  watcher.requestProgress();
  const batches: WatchBatch[] = [];
  for await (const batch of watcher) {
    batches.push(batch);
    if (batch.revision >= now) break;
  }
  return batches;
}

export function describeEvents(batches: readonly WatchBatch[]): string[] {
  return batches
    .flatMap((batch) => batch.events)
    .map((event: StoreEvent) =>
      event.kind === "put"
        ? `put ${event.entry.key}=${event.entry.value} was ${event.previous?.value}`
        : `delete ${event.entry.key} was ${event.entry.value}`,
    );
}
