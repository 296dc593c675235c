import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { createLog } from "../runtime/log.ts";
import { UnavailableError } from "../store/errors.ts";
import { openMemoryStore } from "../store/memory-store.ts";
import { runCompactor } from "./history-compactor.ts";

const intervalMs = 5 * 60 * 1000;

test("history is compacted again after the store could not write", async () => {
  const store = openMemoryStore();
  await store.transact({ success: [{ kind: "put", key: "a", value: "1" }] });
  const written = await store.currentRevision();
  const full = mock.method(store, "compact", async () => {
    throw new UnavailableError("no space left on device");
  });
  const stopping = new AbortController();
  let nowMs = 0;
  const wait = async (delayMs: number): Promise<void> => {
    nowMs += delayMs;
    if (nowMs > 1.5 * intervalMs) full.mock.restore();
    if (nowMs > 2.5 * intervalMs) stopping.abort();
  };
  await runCompactor(store, createLog({ name: "test", level: "silent" }), stopping.signal, wait);
  assert.equal(full.mock.callCount(), 1);
  assert.equal(await store.compactedRevision(), written);
});
