import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoreUnderTest } from "./contract/helpers.ts";
import { storeContract } from "./contract/suite.ts";
import { FakeLeaseClock } from "./fake-lease-clock.ts";
import { openMemoryStore } from "./memory-store.ts";

function openUnderTest(): StoreUnderTest {
  const clock = new FakeLeaseClock();
  const store = openMemoryStore({ clock });
  return {
    store,
    advance: (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

for (const [name, check] of Object.entries(storeContract)) {
  test(name, async () => {
    await using under = openUnderTest();
    await check(under);
  });
}

test("a memory store begins at the revision it is given", async () => {
  const store = openMemoryStore({ firstRevision: 5000 });
  assert.equal(await store.currentRevision(), 5000);
  await store.close();
});
