import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { put, type StoreUnderTest } from "./contract/helpers.ts";
import { storeContract } from "./contract/suite.ts";
import { CompactedError, UnavailableError } from "./errors.ts";
import { FakeLeaseClock } from "./fake-lease-clock.ts";
import { openSqliteStore } from "./sqlite-store.ts";

function makeDirectory(): { path: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "isobar-store-"));
  return {
    path: join(directory, "state.db"),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function openUnderTest(): StoreUnderTest {
  const directory = makeDirectory();
  const clock = new FakeLeaseClock();
  const store = openSqliteStore(directory.path, { clock });
  return {
    store,
    advance: (ms) => clock.advance(ms),
    async [Symbol.asyncDispose]() {
      await store.close();
      directory[Symbol.dispose]();
    },
  };
}

for (const [name, check] of Object.entries(storeContract)) {
  test(name, async () => {
    await using under = openUnderTest();
    await check(under);
  });
}

test("a store opened again has its keys, revisions, history, leases and compaction", async () => {
  using directory = makeDirectory();
  const first = openSqliteStore(directory.path);
  await put(first, "a", "1");
  await put(first, "gone", "1");
  await first.transact({ success: [{ kind: "delete", key: "gone" }] });
  const compacted = await put(first, "a", "2");
  const lease = await first.grantLease(60_000);
  await first.transact({ success: [{ kind: "put", key: "b", value: "1", lease }] });
  await first.transact({ success: [{ kind: "delete", key: "a" }] });
  await first.compact(compacted);
  const revision = await first.currentRevision();
  const before = await first.range({ prefix: "" });
  await first.close();

  const second = openSqliteStore(directory.path);
  assert.equal(await second.currentRevision(), revision);
  assert.deepEqual(await second.range({ prefix: "" }), before);
  assert.equal((await second.get("a", compacted))?.value, "2");
  await assert.rejects(second.get("a", compacted - 1), CompactedError);
  const watcher = second.watch({ prefix: "", startRevision: compacted + 1 });
  for await (const batch of watcher) {
    assert.deepEqual(
      batch.events.map((event) => [event.kind, event.entry.key, event.entry.value]),
      [
        ["put", "b", "1"],
        ["delete", "a", "2"],
      ],
    );
    break;
  }
  await second.revokeLease(lease);
  assert.equal(await second.get("b"), undefined);
  assert.equal(await second.grantLease(1), lease + 1);
  await second.close();
});

test("compacting everything down to nothing keeps the revision over a restart", async () => {
  using directory = makeDirectory();
  const first = openSqliteStore(directory.path);
  await put(first, "a", "1");
  const { revision } = await first.transact({ success: [{ kind: "delete", key: "a" }] });
  await first.compact(revision);
  await first.close();
  const second = openSqliteStore(directory.path);
  assert.equal(await second.currentRevision(), revision);
  await second.close();
});

test("only the owner may read the file, and only one store may have it open", async () => {
  using directory = makeDirectory();
  const store = openSqliteStore(directory.path);
  assert.equal(statSync(directory.path).mode & 0o777, 0o600);
  assert.throws(() => openSqliteStore(directory.path), UnavailableError);
  await store.close();
  await openSqliteStore(directory.path).close();
});

/** Writes pairs of keys, each pair in one transaction, and prints each pair's number once it is acknowledged. */
const writerProgram = `
  import { openSqliteStore } from ${JSON.stringify(new URL("./sqlite-store.ts", import.meta.url).href)};
  const store = openSqliteStore(process.argv[1]);
  for (let pair = 0; ; pair += 8) {
    await Promise.all(Array.from({ length: 8 }, async (_, index) => {
      const value = String(pair + index);
      await store.transact({ success: [
        { kind: "put", key: "left/" + value, value },
        { kind: "put", key: "right/" + value, value },
      ] });
      process.stdout.write(value + "\\n");
    }));
  }`;

async function readUntil(writer: ChildProcess, length: number): Promise<string[]> {
  assert.ok(writer.stdout);
  const acknowledged: string[] = [];
  for await (const line of createInterface(writer.stdout)) {
    acknowledged.push(line);
    // Lines already in the pipe are read to the end: they were acknowledged too.
    if (acknowledged.length === length) writer.kill("SIGKILL");
  }
  return acknowledged;
}

test("kill -9 of the writer loses nothing acknowledged and leaves nothing half", async () => {
  using directory = makeDirectory();
  const args = ["--input-type=module-typescript", "--eval", writerProgram, directory.path];
  for (const length of [50, 333, 700]) {
    const writer = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const acknowledged = await readUntil(writer, length);
    assert.ok(acknowledged.length >= length, "the writer ended by itself");
    const store = openSqliteStore(directory.path);
    const left = (await store.range({ prefix: "left/" })).entries;
    const right = (await store.range({ prefix: "right/" })).entries;
    assert.deepEqual(
      left.map((entry) => [entry.value, entry.modRevision]),
      right.map((entry) => [entry.value, entry.modRevision]),
    );
    const kept = new Set(left.map((entry) => entry.value));
    assert.deepEqual(
      acknowledged.filter((value) => !kept.has(value)),
      [],
    );
    await store.close();
  }
});
