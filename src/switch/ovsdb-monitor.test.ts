import assert from "node:assert/strict";
import { test } from "node:test";
import { RowCache, type RowChange } from "../ovsdb/row-cache.ts";
import { parseSchema } from "../ovsdb/schema.ts";
import { type Json, stringOf } from "../ovsdb/value.ts";
import { OvsdbMonitor } from "./ovsdb-monitor.ts";

const columns = { name: { type: "string" }, tags: { type: { key: "string", min: 0, max: 9 } } };
const schema = parseSchema({ name: "D", version: "1", tables: { T: { columns } } });
const request = { T: { columns: ["name", "tags"] } };
const zero = "00000000-0000-0000-0000-000000000000";
const [a, b] = ["a0000000-0000-0000-0000-000000000000", "b0000000-0000-0000-0000-000000000000"];

/** A connection that gives one reply, after `meanwhile`; keeps what was asked. */
function replying(reply: unknown, meanwhile: () => void = () => undefined) {
  const asked: (readonly Json[])[] = [];
  return {
    asked,
    request: async (_: string, params: readonly Json[]): Promise<unknown> => {
      asked.push(params);
      const answer = Promise.resolve(reply);
      queueMicrotask(meanwhile);
      return await answer;
    },
  };
}

function newMonitor(): { monitor: OvsdbMonitor; changes: RowChange[]; names: () => string[] } {
  const monitor = new OvsdbMonitor("m", request, new RowCache(schema, request));
  const changes: RowChange[] = [];
  monitor.on("change", (some) => changes.push(...some));
  const names = (): string[] =>
    [...monitor.rows("T").values()].map((row) => stringOf(row["name"]) ?? "");
  return { monitor, changes, names };
}

function insert(uuid: string, name: string): Json {
  return { T: { [uuid]: { insert: { name } } } };
}

test("updates that come with the reply are taken in behind it, each once", async () => {
  const { monitor, changes, names } = newMonitor();
  const initial = { T: { [a]: { initial: { name: "first" } } } };
  await monitor.resume(
    replying([false, "t1", initial], () => {
      monitor.update(["other", "t9", insert(b, "of another monitor")]);
      monitor.update(["m", "t2", { T: { [a]: { modify: { name: "second" } } } }]);
    }),
    "D",
    1,
  );
  assert.deepEqual(names(), ["second"]);
  assert.equal(changes.length, 2);
});

test("a resume asks for what came after the last transaction", async () => {
  const { monitor, names } = newMonitor();
  const first = replying([false, "t1", insert(a, "one")]);
  await monitor.resume(first, "D", 1);
  assert.deepEqual(first.asked, [["D", "m", { T: [{ columns: ["name", "tags"] }] }, zero]]);
  monitor.update(["m", "t2", { T: { [a]: { modify: { tags: "x" } } } }]);
  const second = replying([true, "t3", insert(b, "two")]);
  await monitor.resume(second, "D", 1);
  assert.equal(second.asked[0]?.[3], "t2");
  assert.deepEqual(names(), ["one", "two"]);
});

test("after an update that makes no sense, everything is asked for again", async () => {
  const { monitor, changes, names } = newMonitor();
  await monitor.resume(replying([false, "t1", insert(a, "one")]), "D", 1);
  assert.throws(() => monitor.update(["m", "t2", { T: { [b]: { modify: { name: "?" } } } }]), {
    name: "DecodeError",
  });
  const again = replying([false, "t3", { T: { [a]: { initial: { name: "one" } } } }]);
  changes.length = 0;
  await monitor.resume(again, "D", 1);
  assert.equal(again.asked[0]?.[3], zero);
  assert.deepEqual(names(), ["one"]);
  assert.deepEqual(changes, []);
});

test("a reply of another kind is an error", async () => {
  for (const reply of [null, {}, [true], [true, "t", 1], [true, 1, {}]]) {
    const { monitor } = newMonitor();
    await assert.rejects(monitor.resume(replying(reply), "D", 1), { name: "DecodeError" });
  }
});
