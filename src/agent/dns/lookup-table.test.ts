import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type LookupEntry, LookupTable } from "./lookup-table.ts";

function entry(endpoint: string, address: string, name: string, expiresMs: number): LookupEntry {
  return { endpoint, address, name, expiresMs };
}

function textsOf(entries: Iterable<LookupEntry>): string[] {
  return Array.from(entries, (each) => Object.values(each).join(" ")).toSorted();
}

test("what is learnt is told once, and again when an address gets another name", () => {
  const table = new LookupTable([], 0);
  assert.equal(table.learn(entry("a", "1.1.1.1", "x.y", 10)), true);
  assert.equal(table.learn(entry("a", "1.1.1.1", "x.y", 20)), false);
  const { facts, puts } = table.takeChanges();
  const fact = { kind: "lookup", id: "a 1.1.1.1", endpoint: "a", address: "1.1.1.1" };
  assert.deepEqual(facts, { upserts: [{ ...fact, names: ["x.y"] }], deletes: [] });
  assert.deepEqual(textsOf(puts), ["a 1.1.1.1 x.y 20"]);
  assert.deepEqual(table.takeChanges().facts, { upserts: [], deletes: [] });
  assert.equal(table.learn(entry("a", "1.1.1.1", "b.y", 20)), true);
  assert.deepEqual(table.takeChanges().facts.upserts, [{ ...fact, names: ["b.y", "x.y"] }]);
});

test("what has ended is out of force, and known for its connections until it is dropped", () => {
  const table = new LookupTable([], 0);
  table.learn(entry("a", "1.1.1.1", "x.y", 10));
  table.takeChanges();
  table.expire(10);
  assert.deepEqual(table.takeChanges(), {
    facts: { upserts: [], deletes: [{ kind: "lookup", id: "a 1.1.1.1" }] },
    puts: [],
    deletes: [],
  });
  assert.deepEqual([...table.namesOf("a", "1.1.1.1")], ["x.y"]);
  table.dropEnded(() => true);
  assert.equal(table.ended, 1);
  table.dropEnded(() => false);
  assert.deepEqual(textsOf(table.takeChanges().deletes), ["a 1.1.1.1 x.y 10"]);
  assert.deepEqual([...table.namesOf("a", "1.1.1.1")], []);
});

test("what is learnt again after it has ended is not dropped with the old", () => {
  const table = new LookupTable([entry("a", "1.1.1.1", "x.y", 10)], 10);
  assert.deepEqual([table.size, table.ended], [0, 1]);
  table.learn(entry("a", "1.1.1.1", "x.y", 30));
  table.dropEnded(() => false);
  const { puts, deletes } = table.takeChanges();
  assert.deepEqual([textsOf(puts), deletes], [["a 1.1.1.1 x.y 30"], []]);
});

test("an endpoint that asks for too much pushes out its own that ends first", () => {
  const table = new LookupTable([], 0, { perEndpoint: 3, inAll: 5 });
  table.learn(entry("b", "9.9.9.9", "x.y", 1));
  for (let host = 1; host <= 5; host++) table.learn(entry("a", `1.1.1.${host}`, "x.y", 100 - host));
  assert.equal(table.size, 4);
  assert.deepEqual([...table.namesOf("b", "9.9.9.9")], ["x.y"]);
  assert.deepEqual([...table.namesOf("a", "1.1.1.1")], ["x.y"]);
  assert.deepEqual([...table.namesOf("a", "1.1.1.5")], []);
});

test("a file that takes the changes gives the same table again", () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("learn" as const),
      endpoint: fc.constantFrom("a", "b"),
      address: fc.constantFrom("1.1.1.1", "2.2.2.2"),
      name: fc.constantFrom("x.y", "z.y"),
      lifeMs: fc.nat({ max: 20 }),
    }),
    fc.record({ kind: fc.constant("expire" as const) }),
    fc.record({ kind: fc.constant("drop" as const) }),
    fc.record({ kind: fc.constant("forget" as const), endpoint: fc.constantFrom("a", "b") }),
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const table = new LookupTable([], 0, { perEndpoint: 3, inAll: 4 });
      const rows = new Map<string, LookupEntry>();
      const facts = new Map<string, string>();
      let nowMs = 0;
      for (const each of steps) {
        nowMs += 3;
        if (each.kind === "learn") {
          const { endpoint, address, name, lifeMs } = each;
          table.learn({ endpoint, address, name, expiresMs: nowMs + 1 + lifeMs });
        } else if (each.kind === "expire") table.expire(nowMs);
        else if (each.kind === "drop") table.dropEnded(({ endpoint }) => endpoint === "a");
        else table.forget(each.endpoint);
        const changes = table.takeChanges();
        const key = ({ endpoint, address, name }: LookupEntry) => `${endpoint} ${address} ${name}`;
        for (const row of changes.deletes) rows.delete(key(row));
        for (const row of changes.puts) rows.set(key(row), row);
        for (const { id } of changes.facts.deletes) facts.delete(id);
        for (const fact of changes.facts.upserts) facts.set(fact.id, JSON.stringify(fact));
        const again = new LookupTable(rows.values(), 0);
        const inForce = textsOf(table.entries());
        assert.ok(inForce.every((text) => textsOf(again.entries()).includes(text)));
        const told = new Set([...table.entries()].map((one) => `${one.endpoint} ${one.address}`));
        assert.deepEqual([...facts.keys()].toSorted(), [...told].toSorted());
      }
    }),
  );
});
