import { CompactedError } from "../store/errors.ts";
import type { KeyValue, Store } from "../store/store.ts";

export interface RegistryHandler {
  /** The whole state; what is not in it is gone. */
  reset(entries: readonly KeyValue[]): void;
  put(entry: KeyValue): void;
  delete(entry: KeyValue): void;
}

/** Tells the handler the state under a prefix and then every change, in order of revision, until the signal is aborted. */
export async function followRegistry(
  store: Store,
  prefix: string,
  handler: RegistryHandler,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { revision, entries } = await store.range({ prefix });
    handler.reset(entries);
    using watcher = watchUntil(store, { prefix, startRevision: revision + 1 }, signal);
    try {
      for await (const { events } of watcher.watcher) {
        for (const event of events) {
          if (event.kind === "put") handler.put(event.entry);
          else handler.delete(event.entry);
        }
      }
      // The store was closed, or the signal aborted.
      return;
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error;
    }
  }
}

function watchUntil(
  store: Store,
  request: Parameters<Store["watch"]>[0],
  signal: AbortSignal,
): { watcher: ReturnType<Store["watch"]> } & Disposable {
  const watcher = store.watch(request);
  const close = (): void => watcher.close();
  signal.addEventListener("abort", close, { once: true });
  return { watcher, [Symbol.dispose]: () => signal.removeEventListener("abort", close) };
}
