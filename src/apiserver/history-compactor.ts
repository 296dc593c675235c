import type { Log } from "../runtime/log.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { Store } from "../store/store.ts";

/** Between compactions; what is older than one to two of them is forgotten. */
const intervalMs = 5 * 60 * 1000;
const checkMs = 10 * 1000;
/** History is cut earlier when it grows faster than this: each change costs memory. */
const longestHistory = 100_000;

/** Keeps the store's history to some minutes, until the signal is aborted. Watches that fall behind begin anew. */
export async function runCompactor(
  store: Store,
  log: Log,
  signal: AbortSignal,
  wait: typeof pause = pause,
): Promise<void> {
  let previous = await store.currentRevision();
  let sinceMs = 0;
  while (!signal.aborted) {
    await wait(checkMs, signal);
    sinceMs += checkMs;
    if (signal.aborted) return;
    const current = await store.currentRevision();
    const oldest = await store.compactedRevision();
    const surplus = current - longestHistory;
    const due = sinceMs >= intervalMs;
    const revision = Math.max(surplus, due ? previous : 0);
    if (due) {
      previous = current;
      sinceMs = 0;
    }
    if (revision <= oldest) continue;
    try {
      await store.compact(revision);
      log.debug({ revision }, "compacted");
    } catch (err) {
      // A full disk, perhaps: history must not grow for ever once there is room again.
      log.warn({ err, revision }, "cannot compact the history now");
    }
  }
}
