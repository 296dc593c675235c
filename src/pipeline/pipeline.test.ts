import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { examplePipeline } from "../../tools/pipeline-example.ts";
import { flowBody, flowKey } from "../openflow/flow-key.ts";
import { formatFlow } from "../openflow/format.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import { groupBody } from "../openflow/group-change.ts";
import type { Group } from "../openflow/group.ts";
import type { Resource } from "../southbound/resources.ts";
import { decodeCookie } from "./cookie.ts";
import type { LocalFact } from "./fact.ts";
import type { FlowChanges } from "./flow-store.ts";
import { LocalNumbers } from "./numbers.ts";
import { Pipeline } from "./pipeline.ts";
import { type Register, registerNames, registers } from "./registers.ts";
import { type TableName, tableNamed, tableNames, tables } from "./tables.ts";

const node = "n1";
const v4 = fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "nonsense");
const v6 = fc.constantFrom("fd00::1", "fd00::2", "fd00:0:0:0::2");
const cidrs = fc.constantFrom(
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.0.0.0/30",
  "10.0.0.2/32",
  "fd00::/16",
  "10/8",
);
const identity = fc.constantFrom("i1", "i2", "i3");
const group = fc.constantFrom("g1", "g2", "g3");
const mac = fc.constantFrom("0a:00:00:00:00:01", "0a:00:00:00:00:02", "nonsense");

function one<Value>(value: Value): fc.Arbitrary<Value> {
  return fc.constant(value);
}

function mostly<const Value extends string>(first: Value, ...others: Value[]): fc.Arbitrary<Value> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant(first) }, fc.constantFrom(...others));
}

function some<Value>(value: fc.Arbitrary<Value>, maxLength = 2): fc.Arbitrary<Value[]> {
  return fc.uniqueArray(value, { maxLength });
}

/** With some of the optional properties, or none. */
function withOptional<Base extends object, Extra extends object>(
  base: fc.Arbitrary<Base>,
  extra: { [Key in keyof Extra]: fc.Arbitrary<Extra[Key]> },
): fc.Arbitrary<Base & Partial<Extra>> {
  return fc
    .tuple(base, fc.record<Extra>(extra, { requiredKeys: [] }))
    .map(([always, sometimes]) => ({ ...always, ...sometimes }));
}

const resources: fc.Arbitrary<Resource> = fc.oneof(
  fc.record({
    kind: one("domain" as const),
    id: fc.constantFrom("d1", "d2"),
    vni: fc.constantFrom(1, 2),
    pools: some(cidrs),
  }),
  fc.record({
    kind: one("node" as const),
    id: fc.constantFrom("n1", "n2", "n3"),
    addresses: some(fc.constantFrom("172.18.0.1", "172.18.0.2", "fd01::1")),
    zone: fc.constantFrom("z1", "z2"),
  }),
  fc.record({
    kind: one("group" as const),
    id: group,
    identities: some(identity, 3),
    networks: some(fc.record({ cidr: cidrs, except: some(cidrs) })),
    domainNames: some(fc.constantFrom("a.example", "*.a.example", "*.example")),
  }),
  fc.record({
    kind: one("rule" as const),
    id: fc.constantFrom("r1", "r2", "r3"),
    direction: fc.constantFrom("egress" as const, "ingress" as const),
    tier: mostly("networkpolicy", "admin", "isobar", "baseline"),
    priority: fc.constantFrom(0, 1, 1000, 1001),
    action: mostly("allow", "deny", "pass"),
    subjects: some(group),
    peers: fc.oneof(one("any" as const), some(group)),
    ports: fc.oneof(
      one("any" as const),
      some(
        fc.record({
          protocol: fc.constantFrom("TCP" as const, "UDP" as const, "SCTP" as const),
          from: fc.constantFrom(1, 80),
          to: fc.constantFrom(80, 90, 65535),
        }),
      ),
    ),
    policy: fc.constantFrom("p", "q"),
    ruleIndex: fc.constantFrom(0, 1, 32, 70),
  }),
  fc.record({
    kind: one("posture" as const),
    id: identity,
    ingress: some(one("p")),
    egress: some(one("p")),
  }),
  fc.record({
    kind: one("endpoint" as const),
    id: fc.constantFrom("e1", "e2", "e3"),
    domain: fc.constantFrom("d1", "d2"),
    node: fc.constantFrom("n1", "n1", "n2", "*"),
    addresses: fc.tuple(some(v4), some(v6)).map((lists) => lists.flat()),
    mac,
    identity,
  }),
  withOptional(
    fc.record({
      kind: one("service" as const),
      id: fc.constantFrom("s1", "s2"),
      name: fc.constant("shop/web"),
      portName: fc.constant(""),
      domain: fc.constantFrom("d1", "d2"),
      family: fc.constantFrom(4 as const, 6 as const),
      protocol: mostly("TCP", "UDP", "SCTP"),
      frontends: some(
        fc.record({
          address: fc.constantFrom("10.96.0.1", "10.96.0.2", "fd00:96::1", "nonsense"),
          port: fc.constantFrom(80, 443),
          scope: fc.constantFrom("cluster" as const, "external" as const),
        }),
        3,
      ),
      internalPolicy: fc.constantFrom("Cluster" as const, "Local" as const),
      externalPolicy: fc.constantFrom("Cluster" as const, "Local" as const),
    }),
    {
      nodePort: fc.constantFrom(30_080, 30_443),
      affinitySeconds: fc.constantFrom(10, 10_800),
      sourceRanges: some(fc.constantFrom("203.0.113.0/24", "2001:db8::/32", "0.0.0.0/0", "none")),
    },
  ),
  withOptional(
    fc.record({
      kind: one("backend" as const),
      id: fc.constantFrom("b1", "b2", "b3"),
      service: fc.constantFrom("s1", "s2"),
      address: fc.oneof(v4, v6),
      port: fc.constantFrom(8080, 8443),
      node: fc.constantFrom("n1", "n2", ""),
      ready: fc.boolean(),
    }),
    {
      zones: some(fc.constantFrom("z1", "z2")),
      nodes: some(fc.constantFrom("n1", "n2")),
      weight: fc.constantFrom(1, 5),
    },
  ),
);

const facts: fc.Arbitrary<LocalFact> = fc.oneof(
  fc.record({
    kind: one("port" as const),
    id: fc.constantFrom("e1", "e2", "e3"),
    ofport: fc.constantFrom(1, 2, 3),
  }),
  fc
    .record({
      kind: one("lookup" as const),
      endpoint: fc.constantFrom("e1", "e2"),
      address: fc.oneof(v4, v6),
      names: some(fc.constantFrom("a.example", "b.a.example", "c.example")),
    })
    .map((lookup) => ({ ...lookup, id: `${lookup.endpoint} ${lookup.address}` })),
  fc.record({
    kind: one("clock" as const),
    id: one("clock" as const),
    seconds: fc.constantFrom(5, 11_000, 22_000),
  }),
  fc.record({
    kind: one("tunnel" as const),
    id: fc.constantFrom("t1", "t2"),
    ofport: fc.constantFrom(8, 9),
  }),
  fc.record({
    kind: one("gateway" as const),
    id: fc.constantFrom("d1", "d2"),
    ofport: fc.constantFrom(6, 7),
    mac,
  }),
);

interface Held {
  readonly resources: Map<string, Resource>;
  readonly facts: Map<string, LocalFact>;
}

/** Resources, or facts of the node, that come and go at once. */
interface Step {
  readonly resources: readonly Resource[];
  readonly goneResources: readonly Resource[];
  readonly facts: readonly LocalFact[];
  readonly goneFacts: readonly LocalFact[];
}

const steps: fc.Arbitrary<Step> = fc.record({
  resources: fc.array(resources, { maxLength: 6 }),
  goneResources: fc.array(resources, { maxLength: 3 }),
  facts: fc.array(facts, { maxLength: 2 }),
  goneFacts: fc.array(facts, { maxLength: 1 }),
});

function hold<Item extends { readonly kind: string; readonly id: string }>(
  map: Map<string, Item>,
  come: readonly Item[],
  gone: readonly Item[],
): void {
  for (const item of come) map.set(`${item.kind} ${item.id}`, item);
  for (const { kind, id } of gone) map.delete(`${kind} ${id}`);
}

function wordsOf(pipeline: Pipeline): string[] {
  return pipeline
    .problems()
    .map((problem) => JSON.stringify(problem))
    .toSorted();
}

function textsOf(flows: Iterable<Flow>): Map<string, string> {
  return new Map(Array.from(flows, (flow) => [flowKey(flow), formatFlow(flow)]));
}

function groupsOf(groups: Iterable<Group>): Map<number, string> {
  return new Map(Array.from(groups, (each) => [each.id, groupBody(each)]));
}

function mirrorGroups(held: Map<number, string>, { groups }: FlowChanges): void {
  for (const [id, after] of groups ?? []) {
    if (after === undefined) held.delete(id);
    else held.set(id, groupBody(after));
  }
}

function mirror(held: Map<string, string>, { upserts, deletes }: FlowChanges): void {
  for (const flow of deletes)
    assert.ok(held.delete(flowKey(flow)), `was not there: ${formatFlow(flow)}`);
  for (const flow of upserts) {
    assert.notEqual(held.get(flowKey(flow)), formatFlow(flow), "is no change");
    held.set(flowKey(flow), formatFlow(flow));
  }
}

test("after any changes the flows are those of a new pipeline that is told what holds", () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 12 }), (changes) => {
      const numbers = new LocalNumbers();
      const pipeline = new Pipeline({ node, numbers });
      const held: Held = { resources: new Map(), facts: new Map() };
      const switched = new Map<string, string>();
      const groups = new Map<number, string>();
      for (const step of changes) {
        const { goneResources, goneFacts } = step;
        hold(held.resources, step.resources, goneResources);
        hold(held.facts, step.facts, goneFacts);
        const changed = pipeline.apply({ upserts: step.resources, deletes: goneResources });
        mirror(switched, changed);
        mirrorGroups(groups, changed);
        const local = pipeline.applyLocal({ upserts: step.facts, deletes: goneFacts });
        mirror(switched, local);
        mirrorGroups(groups, local);

        const fresh = new Pipeline({ node, numbers: new LocalNumbers([...numbers.entries()]) });
        fresh.applyLocal({ upserts: [...held.facts.values()].toReversed(), deletes: [] });
        fresh.apply({ upserts: [...held.resources.values()].toReversed(), deletes: [] });
        const wanted = textsOf(fresh.flows());
        assert.deepEqual(textsOf(pipeline.flows()), wanted);
        assert.equal(wanted.size, fresh.length);
        assert.deepEqual(switched, wanted);
        assert.deepEqual(groupsOf(pipeline.groups()), groupsOf(fresh.groups()));
        assert.deepEqual(groups, groupsOf(fresh.groups()));
        assert.deepEqual(wordsOf(pipeline), wordsOf(fresh));
      }
      pipeline.apply({ upserts: [], deletes: [...held.resources.values()] });
      pipeline.applyLocal({ upserts: [], deletes: [...held.facts.values()] });
      const empty = new Pipeline({ node, numbers: new LocalNumbers() });
      assert.deepEqual(textsOf(pipeline.flows()), textsOf(empty.flows()));
      assert.deepEqual([...pipeline.groups()], []);
      assert.deepEqual([...numbers.entries()], [], "numbers in use");
    }),
    { numRuns: Number(process.env["ISOBAR_TEST_RUNS"] ?? 150) },
  );
});

test("the same resources again change nothing", () => {
  fc.assert(
    fc.property(fc.array(resources, { maxLength: 20 }), (upserts) => {
      const pipeline = new Pipeline({ node, numbers: new LocalNumbers() });
      pipeline.apply({ upserts, deletes: [] });
      const last = new Map(upserts.map((each) => [`${each.kind} ${each.id}`, each]));
      const again = pipeline.apply({ upserts: [...last.values()], deletes: [] });
      assert.deepEqual(again, { upserts: [], deletes: [] });
    }),
  );
});

interface Touch {
  readonly field: string;
  readonly mask: bigint;
}

const allBits = (1n << 128n) - 1n;

function maskOf({ bits, offset }: { readonly bits: number; readonly offset: number }): bigint {
  return ((1n << BigInt(bits)) - 1n) << BigInt(offset);
}

function touchedBy(action: Action): Touch[] {
  if (action.kind === "set-field") return [{ field: action.field, mask: action.mask ?? allBits }];
  if (action.kind === "ct") return (action.exec ?? []).flatMap(touchedBy);
  if (action.kind !== "move") return [];
  return [action.from, action.to].map((part) => ({ field: part.field, mask: maskOf(part) }));
}

/** What a flow matches, reads or writes, with the bits. */
function touched(flow: Flow): Touch[] {
  const matched = flow.match.map(({ field, mask }) => ({ field, mask: mask ?? allBits }));
  return [...matched, ...flow.actions.flatMap(touchedBy)];
}

function isAlive(register: Register, table: TableName): boolean {
  if (tables[table].miss === "return") return true;
  const rank = tableNames.indexOf(table);
  return register.live.some(
    ([from, to]) => tableNames.indexOf(from) <= rank && rank <= tableNames.indexOf(to),
  );
}

test("flows touch a register only where it is declared to be alive", () => {
  for (const flow of examplePipeline().flows()) {
    const table = tableNamed(flow.table);
    assert.ok(table !== undefined);
    for (const { field, mask } of touched(flow)) {
      if (!/^x*reg/.test(field)) continue;
      const alive: readonly Register[] = registerNames
        .map((name) => registers[name])
        .filter((register) => register.field === field && isAlive(register, table));
      const known = alive.reduce((bits, register) => bits | maskOf(register), 0n);
      const widest = (1n << BigInt(field.startsWith("xx") ? 128 : 32)) - 1n;
      assert.equal(mask & widest & ~known, 0n, `${table}: ${field} in ${formatFlow(flow)}`);
    }
  }
});

test("packets only move forward, and never to a table that is reserved", () => {
  for (const flow of examplePipeline().flows()) {
    if (flow.gotoTable === undefined) continue;
    const next = tableNamed(flow.gotoTable);
    assert.ok(next !== undefined && flow.gotoTable > flow.table, formatFlow(flow));
    assert.ok(!("reserved" in tables[next]), formatFlow(flow));
  }
});

test("every flow's cookie says which feature made it", () => {
  for (const flow of examplePipeline().flows()) {
    assert.notEqual(decodeCookie(flow.cookie), undefined, formatFlow(flow));
  }
});

test("no flow that a policy decides by matches an address or a port of the packet", () => {
  const allowed = new Set<string>(["conj_id"]);
  for (const flow of examplePipeline().flows()) {
    const table = tableNamed(flow.table) ?? "Classify";
    if (!/^(Egress|Ingress)/.test(table)) continue;
    for (const { field } of flow.match) {
      assert.ok(field.startsWith("reg") || allowed.has(field), formatFlow(flow));
    }
  }
});

test("bodies of equal flows are equal", () => {
  const [a, b] = [examplePipeline(), examplePipeline()].map((each) =>
    [...each.flows()].map(flowBody),
  );
  assert.deepEqual(a, b);
});
