import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  type FieldName,
  type KnownFieldName,
  fieldNames,
  fields,
} from "../../src/openflow/field.ts";
import { formatFlow } from "../../src/openflow/format.ts";
import type { Action, Flow, Match, MatchField } from "../../src/openflow/flow.ts";
import type { FlowFilter } from "../../src/openflow/flow-entry.ts";
import { flowBody, flowKey } from "../../src/openflow/flow-key.ts";
import { addFlow, deleteFlow } from "../../src/openflow/flow-mod.ts";
import { type Group, bucketPosition } from "../../src/openflow/group.ts";
import { type Message, encodeMessage } from "../../src/openflow/message.ts";
import type { Meter } from "../../src/openflow/meter.ts";
import { reservedPorts } from "../../src/openflow/port-number.ts";
import { BundleError, OpenFlowError, UnavailableError } from "../../src/switch/errors.ts";
import { OpenFlowClient, type SwitchEvent } from "../../src/switch/openflow-client.ts";
import { Writer } from "../../src/wire/writer.ts";
import { OpenVswitch } from "./open-vswitch.ts";

let ovs: OpenVswitch;
let client: OpenFlowClient;

function vsctl(...args: string[]): void {
  execFileSync("ovs-vsctl", [`--db=unix:${ovs.databaseSocket}`, ...args]);
}

function ofctl(...args: string[]): string {
  return execFileSync("ovs-ofctl", ["-O", "OpenFlow15", ...args], { encoding: "utf8" });
}

function bridgeSocket(bridge = "br0"): string {
  return join(ovs.rundir, `${bridge}.mgmt`);
}

before(async () => {
  ovs = await OpenVswitch.start();
  vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure");
  for (const port of ["1", "2"]) {
    const options = ["type=dummy", `ofport_request=${port}`];
    vsctl("add-port", "br0", `p${port}`, "--", "set", "interface", `p${port}`, ...options);
  }
  client = await OpenFlowClient.open({ address: { path: bridgeSocket() } });
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await ovs?.[Symbol.asyncDispose]();
});

function flowOf(part: Partial<Flow>): Flow {
  return { table: 0, priority: 1, cookie: 0n, match: [], actions: [], ...part };
}

async function deleteAll(): Promise<void> {
  await client.bundle([
    { kind: "flow-mod", command: "delete", flow: flowOf({ table: 255, priority: 0 }) },
  ]);
}

/** Installs the flows by themselves and asserts that what the switch reports is equal to them. */
async function assertTurn(flows: readonly Flow[]): Promise<void> {
  await deleteAll();
  await client.bundle(flows.map(addFlow));
  const reported = new Map(
    (await client.dumpFlows()).map(({ flow }) => [flowKey(flow), flow] as const),
  );
  assert.equal(reported.size, flows.length);
  for (const flow of flows) {
    const back = reported.get(flowKey(flow));
    assert.ok(back, `not reported under the same key: ${formatFlow(flow)}`);
    assert.equal(flowBody(back), flowBody(flow), `${formatFlow(flow)} came as ${formatFlow(back)}`);
  }
}

/** The fields that must be matched along with a field, themselves with theirs. */
function prerequisitesOf(name: KnownFieldName): MatchField[] {
  const found = new Map<FieldName, MatchField>();
  const { requires } = fields[name];
  for (const { field } of requires) {
    for (const entry of prerequisitesOf(field)) found.set(entry.field, entry);
  }
  for (const { field, anyOf, mask } of requires) {
    const value = BigInt(anyOf[0]!);
    found.set(field, mask === undefined ? { field, value } : { field, value, mask: BigInt(mask) });
  }
  return [...found.values()];
}

/** The switch lets nobody match these, or reports them for every flow. */
const internalFields = new Set<KnownFieldName>(["dp_hash", "recirc_id", "packet_type"]);
/** Only within the ct action, whose test has them. */
const settableElsewhere = new Set<KnownFieldName>(["ct_mark", "ct_label"]);
const matchable = fieldNames.filter((name) => !internalFields.has(name));

/** Values that the switch takes, where not all will do. */
const validValues: Partial<Record<KnownFieldName, bigint>> = {
  in_port: 1n,
  actset_output: 1n,
  vlan_vid: 0x1005n,
  ip_frag: 1n,
  ct_state: 0x21n,
  eth_type: 0x800n,
};

function flowsOf(name: KnownFieldName, index: number): Flow[] {
  const allBits = (1n << BigInt(fields[name].bits)) - 1n;
  const value = validValues[name] ?? 0x5n & allBits;
  const exact = [...prerequisitesOf(name), { field: name, value }];
  const flows = [flowOf({ priority: 2 * index + 1, match: exact })];
  if (fields[name].maskable && allBits > 1n) {
    const mask = name === "ip_frag" ? 1n : name === "ct_state" ? 0x21n : allBits - 2n;
    const masked = [...prerequisitesOf(name), { field: name, value: value & mask, mask }];
    flows.push(flowOf({ priority: 2 * index + 2, match: masked }));
  }
  return flows;
}

test("a match on any field is reported as it was sent, exact and masked", async () => {
  await assertTurn(matchable.flatMap(flowsOf));
});

test("setting any field that can be set is reported as it was sent", async () => {
  const flows = matchable
    .filter((name) => fields[name].writable && !settableElsewhere.has(name))
    .flatMap((field, index) => {
      const allBits = (1n << BigInt(fields[field].bits)) - 1n;
      const value = validValues[field] ?? 0x3n & allBits;
      const match =
        field === "vlan_vid" ? [{ field, value: 0x1000n, mask: 0x1000n }] : prerequisitesOf(field);
      const set = { kind: "set-field", field, value } as const;
      const flow = flowOf({ priority: 2 * index, match, actions: [set] });
      // A VLAN id without the bit that says so is none, so parts of it cannot be set.
      if (!fields[field].maskable || allBits === 1n || field === "vlan_vid") return [flow];
      const masked = { ...set, value: 1n, mask: 1n };
      return [flow, flowOf({ priority: 2 * index + 1, match, actions: [masked] })];
    });
  await assertTurn(flows);
});

const tcp: Match = [
  { field: "eth_type", value: 0x800n },
  { field: "ip_proto", value: 6n },
];
const tracked: Match = [...tcp, { field: "ct_state", value: 0x20n, mask: 0x30n }];

/** Every kind of action, in the shapes that are encoded apart. */
const actions: readonly (readonly [Match, Action])[] = [
  [[], { kind: "output", port: 1 }],
  [[], { kind: "output", port: reservedPorts.inPort }],
  [[], { kind: "output", port: reservedPorts.controller }],
  [[], { kind: "output", port: reservedPorts.controller, maxLength: 128 }],
  [[], { kind: "output-field", from: { field: "reg1", offset: 0, bits: 16 } }],
  [[], { kind: "output-field", from: { field: "xreg1", offset: 32, bits: 16 }, maxLength: 100 }],
  [[], { kind: "output-field", from: { field: "tun_id", offset: 0, bits: 16 } }],
  [[], { kind: "controller" }],
  [
    [],
    {
      kind: "controller",
      maxLength: 100,
      controllerId: 5,
      reason: 0,
      userdata: Uint8Array.of(1, 2, 3, 4, 5),
      pause: true,
      meter: 1,
    },
  ],
  [[], { kind: "group", group: 1 }],
  [[], { kind: "resubmit", table: 20 }],
  [[], { kind: "resubmit", table: 20, port: 7 }],
  [[], { kind: "resubmit", table: 255, port: 7 }],
  [[], { kind: "resubmit", table: 20, port: reservedPorts.local }],
  [tracked, { kind: "resubmit", table: 20, ct: true }],
  [tcp, { kind: "set-field", field: "ip_dst", value: 0x0a000001n }],
  [
    tcp,
    {
      kind: "move",
      from: { field: "ip_src", offset: 0, bits: 32 },
      to: { field: "reg3", offset: 0, bits: 32 },
    },
  ],
  [
    [],
    {
      kind: "move",
      from: { field: "eth_src", offset: 0, bits: 48 },
      to: { field: "xxreg1", offset: 64, bits: 48 },
    },
  ],
  [tcp, { kind: "ct", zone: 0 }],
  [tcp, { kind: "ct", zone: 5, table: 21 }],
  [tcp, { kind: "ct", zone: { field: "reg1", offset: 16, bits: 16 }, table: 21, nat: {} }],
  [tcp, { kind: "ct", zone: { field: "ct_zone", offset: 0, bits: 16 }, table: 21 }],
  [tcp, { kind: "ct", zone: 5, commit: true, force: true, alg: 21 }],
  [
    tcp,
    {
      kind: "ct",
      zone: 5,
      commit: true,
      table: 22,
      nat: { type: "dst", addressMin: "10.0.0.1", portMin: 80 },
      exec: [
        { kind: "set-field", field: "ct_mark", value: 1n, mask: 3n },
        { kind: "set-field", field: "ct_label", value: 1n << 100n, mask: 1n << 100n },
        {
          kind: "move",
          from: { field: "reg3", offset: 0, bits: 32 },
          to: { field: "ct_label", offset: 32, bits: 32 },
        },
      ],
    },
  ],
  [
    tcp,
    {
      kind: "ct",
      zone: 5,
      commit: true,
      nat: {
        type: "src",
        addressMin: "10.0.0.1",
        addressMax: "10.0.0.9",
        portMin: 1000,
        portMax: 2000,
        flags: ["persistent", "random"],
      },
    },
  ],
  [
    [{ field: "eth_type", value: 0x86ddn }],
    {
      kind: "ct",
      zone: 5,
      commit: true,
      nat: { type: "src", addressMin: "2001:db8::1", addressMax: "2001:db8::9", flags: ["hash"] },
    },
  ],
  [tcp, { kind: "ct-clear" }],
  [
    tcp,
    {
      kind: "learn",
      table: 100,
      priority: 7,
      cookie: 9n,
      idleTimeoutSeconds: 30,
      parts: [
        { kind: "match", to: { field: "reg1", offset: 4, bits: 20 }, from: 0x12345n },
        { kind: "match", to: { field: "eth_type", offset: 0, bits: 16 }, from: 0x800n },
        {
          kind: "match",
          to: { field: "ip_src", offset: 0, bits: 32 },
          from: { field: "ip_src", offset: 0, bits: 32 },
        },
        {
          kind: "load",
          to: { field: "reg15", offset: 0, bits: 32 },
          from: { field: "reg2", offset: 0, bits: 32 },
        },
        { kind: "load", to: { field: "reg14", offset: 0, bits: 32 }, from: 5n },
      ],
    },
  ],
  [[], { kind: "conjunction", id: 5, clause: 2, clauses: 3 }],
  [tcp, { kind: "dec-ttl" }],
  [[], { kind: "push-vlan", etherType: 0x8100 }],
  [[{ field: "vlan_vid", value: 0x1000n, mask: 0x1000n }], { kind: "pop-vlan" }],
  [[], { kind: "set-queue", queue: 3 }],
  [[], { kind: "note", bytes: Uint8Array.of(1, 2, 3) }],
  [[], { kind: "note", bytes: Uint8Array.from({ length: 14 }, (_, i) => i + 1) }],
  [[], { kind: "sample", probability: 100, collectorSet: 1, domain: 2, point: 3 }],
];

test("any action is reported as it was sent", async () => {
  const meter = { id: 1, flags: ["packets-per-second"], bands: [{ rate: 10, burst: 0 }] } as const;
  await client.change({ kind: "meter-mod", command: "add", meter });
  const group = { id: 1, type: "all", buckets: [] } as const;
  await client.change({ kind: "group-mod", command: "add-or-modify", group });
  const single = actions.map(([match, action], priority) =>
    flowOf({ priority, match, actions: [action] }),
  );
  const kinds = new Set(actions.map(([, action]) => action.kind));
  assert.equal(kinds.size, 17, "every kind but unknown");
  const others = [
    flowOf({ table: 1, gotoTable: 2, meter: 1, actions: [{ kind: "output", port: 2 }] }),
    flowOf({ table: 2, gotoTable: 3 }),
    flowOf({ table: 3, meter: 1 }),
    flowOf({ table: 4, cookie: (1n << 64n) - 1n, idleTimeoutSeconds: 100 }),
    flowOf({ table: 5, hardTimeoutSeconds: 65535 }),
    flowOf({
      table: 6,
      actions: actions
        .filter(([match]) => match.length === 0)
        .flatMap(([, action]) => (action.kind === "conjunction" ? [] : [action])),
    }),
  ];
  await assertTurn([...single, ...others]);
  await deleteAll();
  await client.change({ kind: "meter-mod", command: "delete", meter });
});

/** A port from a register with a limit has no text, and the plain controller action that of an output. */
function hasOwnText(action: Action): boolean {
  if (action.kind === "output-field") return action.maxLength === undefined;
  return action.kind !== "controller" || action.userdata !== undefined;
}

test("ovs-ofctl reads our text as the flow that we send as bytes", async () => {
  const single = actions
    .filter(([, action]) => hasOwnText(action))
    .map(([match, action], priority) =>
      flowOf({ table: 9, priority, cookie: 5n, match, actions: [action] }),
    );
  const flows = [...matchable.flatMap(flowsOf), ...single];
  const file = join(ovs.rundir, "flows.txt");
  writeFileSync(file, flows.map((flow) => `${formatFlow(flow)}\n`).join(""));
  await deleteAll();
  const meter = { id: 1, flags: ["packets-per-second"], bands: [{ rate: 10, burst: 0 }] } as const;
  await client.change({ kind: "meter-mod", command: "add", meter });
  const group = { id: 1, type: "all", buckets: [] } as const;
  await client.change({ kind: "group-mod", command: "add-or-modify", group });
  ofctl("add-flows", `unix:${bridgeSocket()}`, file);
  const byText = new Map(
    (await client.dumpFlows()).map(({ flow }) => [flowKey(flow), flowBody(flow)]),
  );
  assert.equal(byText.size, flows.length);
  for (const flow of flows)
    assert.equal(byText.get(flowKey(flow)), flowBody(flow), formatFlow(flow));
  await client.change({ kind: "meter-mod", command: "delete", meter });
});

test("dumps can be limited by table, cookie and match", async () => {
  const ip = { field: "eth_type", value: 0x800n } as const;
  await deleteAll();
  await client.bundle([
    addFlow(flowOf({ table: 1, cookie: 0x10n })),
    addFlow(flowOf({ table: 2, cookie: 0x11n, match: [ip] })),
    addFlow(flowOf({ table: 2, cookie: 0x20n })),
  ]);
  const cookies = async (filter: FlowFilter): Promise<bigint[]> =>
    (await client.dumpFlows(filter))
      .map(({ flow }) => flow.cookie)
      .toSorted((a, b) => Number(a - b));
  assert.deepEqual(await cookies({}), [0x10n, 0x11n, 0x20n]);
  assert.deepEqual(await cookies({ table: 2 }), [0x11n, 0x20n]);
  assert.deepEqual(await cookies({ cookie: 0x10n, cookieMask: 0xf0n }), [0x10n, 0x11n]);
  assert.deepEqual(await cookies({ match: [ip] }), [0x11n]);
  await client.bundle([deleteFlow(flowOf({ table: 2, match: [ip] }))]);
  assert.deepEqual(await cookies({}), [0x10n, 0x20n]);
});

test("of a bundle with wrong changes nothing is in force, and each wrong change is named", async () => {
  await deleteAll();
  const good = (n: number): Flow => flowOf({ priority: n, match: [{ field: "reg0", value: 1n }] });
  const noPrerequisite = flowOf({ priority: 7, match: [{ field: "ip_src", value: 1n }] });
  const noTable = flowOf({ priority: 8, actions: [{ kind: "resubmit", table: 9 }], gotoTable: 0 });
  const flows = [good(1), noPrerequisite, ...Array.from({ length: 5000 }, (_, n) => good(n + 10))];
  await assert.rejects(client.bundle([...flows, noTable].map(addFlow)), (error) => {
    assert.ok(error instanceof BundleError);
    const refused = error.refusals.map(({ code, request }) => {
      assert.ok(request.kind === "flow-mod");
      return [code, request.flow];
    });
    assert.deepEqual(refused, [
      ["OFPBMC_BAD_PREREQ", noPrerequisite],
      ["OFPBIC_BAD_TABLE_ID", noTable],
    ]);
    assert.match(error.message, /ip_src=0\.0\.0\.1 .*OFPBMC_BAD_PREREQ/);
    return true;
  });
  assert.deepEqual(await client.dumpFlows(), []);
  await client.bundle([addFlow(good(1))]);
  assert.equal((await client.dumpFlows()).length, 1);
});

test("a bundle that fails at its commit names the change as well", async () => {
  await deleteAll();
  const flow = flowOf({ actions: [{ kind: "group", group: 99 }] });
  const changes = [addFlow(flowOf({ priority: 3 })), addFlow(flow)];
  await assert.rejects(client.bundle(changes), (error) => {
    assert.ok(error instanceof BundleError);
    assert.equal(error.code, "OFPBAC_BAD_OUT_GROUP");
    assert.equal(error.refusals[0]?.request, changes[1]);
    return true;
  });
  assert.deepEqual(await client.dumpFlows(), []);
});

test("a change that cannot be encoded leaves the connection and the switch as they were", async () => {
  await deleteAll();
  const wrong = flowOf({ match: [{ field: "ip_proto", value: 256n }] });
  await assert.rejects(client.bundle([addFlow(flowOf({})), addFlow(wrong)]), RangeError);
  assert.deepEqual(await client.dumpFlows(), []);
  await client.bundle([addFlow(flowOf({}))]);
  assert.equal((await client.dumpFlows()).length, 1);
});

test("bundles and dumps at the same time do not get in each other's way", async () => {
  await deleteAll();
  const flows = Array.from({ length: 3000 }, (_, n) =>
    flowOf({ table: n % 3, match: [{ field: "reg5", value: BigInt(n) }] }),
  );
  await Promise.all([
    ...[0, 1, 2].map((table) => client.bundle(flows.filter((f) => f.table === table).map(addFlow))),
    client.dumpFlows(),
    client.barrier(),
  ]);
  assert.equal((await client.dumpFlows()).length, 3000);
  const [counts] = await client.collect({
    kind: "multipart-request",
    part: "aggregate",
    request: { table: 1 },
  });
  assert.equal(counts?.flowCount, 1000);
  const tables = await client.collect({
    kind: "multipart-request",
    part: "tables",
    request: undefined,
  });
  assert.deepEqual(
    tables.slice(0, 4).map(({ activeFlows }) => activeFlows),
    [1000, 1000, 1000, 0],
  );
});

test("a bundle whose beginning the switch has forgotten is in force as a whole, or not at all", async () => {
  await deleteAll();
  // The switch gives up bundles that it hears nothing of, and takes the next change for the first of a new one.
  vsctl("set", "Open_vSwitch", ".", "other_config:bundle-idle-timeout=1");
  const groups = ofctl("dump-groups", bridgeSocket());
  const flows = Array.from({ length: 20_000 }, (_, index) =>
    flowOf({ table: 1, match: [{ field: "reg0", value: BigInt(index) }] }),
  );
  const bundle = client.bundle(flows.map(addFlow));
  await new Promise(setImmediate);
  // This side is busy in the midst of it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_000);
  await bundle;
  assert.equal((await client.dumpFlows({ table: 1 })).length, flows.length);
  assert.equal(ofctl("dump-groups", bridgeSocket()), groups);
  vsctl("remove", "Open_vSwitch", ".", "other_config", "bundle-idle-timeout");
  await deleteAll();
});

test("one change outside of a bundle settles when it is in force, or with its error", async () => {
  await deleteAll();
  await client.change(addFlow(flowOf({})));
  assert.equal((await client.dumpFlows()).length, 1);
  const wrong = addFlow(flowOf({ match: [{ field: "tcp_dst", value: 1n }] }));
  await assert.rejects(client.change(wrong), (error) => {
    assert.ok(error instanceof OpenFlowError);
    assert.equal(error.code, "OFPBMC_BAD_PREREQ");
    assert.equal(error.request, wrong);
    return true;
  });
  await client.change({ kind: "flush-zone", zone: 5 });
});

test("groups are reported as they were made, bucket by bucket", async () => {
  const group: Group = {
    id: 1000,
    type: "select",
    buckets: [1, 2].map((id) => ({
      id,
      weight: 10 * id,
      actions: [{ kind: "output", port: id }],
    })),
  };
  const ask = async (): Promise<Group[]> =>
    await client.collect({ kind: "multipart-request", part: "groups", request: 1000 });
  await client.bundle([{ kind: "group-mod", command: "add", group }]);
  assert.deepEqual(await ask(), [group]);
  const third = { id: 3, weight: 1, actions: [{ kind: "ct-clear" }] } as const;
  const insert = { ...group, buckets: [third] };
  await client.bundle([
    {
      kind: "group-mod",
      command: "insert-bucket",
      group: insert,
      commandBucket: bucketPosition.last,
    },
    {
      kind: "group-mod",
      command: "remove-bucket",
      group: { ...group, buckets: [] },
      commandBucket: 1,
    },
  ]);
  assert.deepEqual(await ask(), [{ ...group, buckets: [group.buckets[1], third] }]);
  const [statistics] = await client.collect({
    kind: "multipart-request",
    part: "group-statistics",
    request: 1000,
  });
  assert.equal(statistics?.buckets.length, 2);
  await client.bundle([{ kind: "group-mod", command: "delete", group: { ...group, buckets: [] } }]);
  assert.deepEqual(await ask(), []);
});

test("meters are reported as they were made", async () => {
  const meter: Meter = {
    id: 7,
    flags: ["kilobits-per-second", "burst", "stats"],
    bands: [{ rate: 1000, burst: 50 }],
  };
  await client.change({ kind: "meter-mod", command: "add", meter });
  const request = { kind: "multipart-request", part: "meters", request: 7 } as const;
  assert.deepEqual(await client.collect(request), [meter]);
  const [statistics] = await client.collect({ ...request, part: "meter-statistics" });
  assert.equal(statistics?.packetCount, 0n);
  await client.change({ kind: "meter-mod", command: "delete", meter });
  await assert.rejects(client.collect(request), { code: "OFPMMFC_UNKNOWN_METER" });
});

test("the switch, its ports and their counters are described", async () => {
  assert.equal(client.features.tables, 254);
  const ask = { kind: "multipart-request", request: undefined } as const;
  const [description] = await client.collect({ ...ask, part: "description" });
  assert.match(description?.software ?? "", /^\d+\.\d+/);
  const ports = await client.collect({ ...ask, part: "ports" });
  assert.deepEqual(ports.map(({ name }) => name).toSorted(), ["br0", "p1", "p2"]);
  const counters = await client.collect({ ...ask, part: "port-statistics" });
  assert.equal(counters.length, 3);
});

test("packets, removed flows and changed ports are events", async () => {
  const events: SwitchEvent[] = [];
  const seen = new EventTarget();
  await using watcher = await OpenFlowClient.open({
    address: { path: bridgeSocket() },
    onEvent(event) {
      events.push(event);
      seen.dispatchEvent(new Event(event.kind));
    },
    controllerId: 9,
  });
  const next = async (kind: SwitchEvent["kind"]): Promise<SwitchEvent> => {
    while (true) {
      const found = events.findIndex((event) => event.kind === kind);
      if (found >= 0) return events.splice(found, 1)[0]!;
      await once(seen, kind, { signal: AbortSignal.timeout(5000) });
    }
  };
  await deleteAll();
  const userdata = Uint8Array.of(1, 2);
  const flow = flowOf({
    cookie: 0x77n,
    actions: [
      { kind: "set-field", field: "reg3", value: 5n },
      { kind: "controller", controllerId: 9, userdata },
    ],
  });
  await watcher.change({ ...addFlow(flow), flags: ["send-flow-removed"] });
  const data = Uint8Array.from(
    Buffer.from("0a00000000010a00000000029999" + "00".repeat(50), "hex"),
  );
  const table = { kind: "output", port: reservedPorts.table } as const;
  watcher.packetOut({ metadata: [{ field: "in_port", value: 1n }], actions: [table], data });
  const packet = await next("packet-in2");
  assert.ok(packet.kind === "packet-in2");
  assert.equal(packet.cookie, 0x77n);
  assert.deepEqual(packet.userdata, userdata);
  assert.deepEqual(packet.data, data);
  assert.deepEqual(
    packet.metadata.filter(({ field }) => field === "in_port"),
    [{ field: "in_port", value: 1n }],
  );
  await deleteAll();
  const removed = await next("flow-removed");
  assert.ok(removed.kind === "flow-removed");
  assert.deepEqual([removed.cookie, removed.reason], [0x77n, "delete"]);
  ofctl("mod-port", `unix:${bridgeSocket()}`, "2", "down");
  const status = await next("port-status");
  assert.ok(status.kind === "port-status");
  assert.deepEqual([status.reason, status.port.name], ["modify", "p2"]);
  ofctl("mod-port", `unix:${bridgeSocket()}`, "2", "up");
  // An error that nobody waits for is an event as well.
  const nowhere = { kind: "output", port: 5_000_000 } as const;
  watcher.packetOut({ metadata: [{ field: "in_port", value: 1n }], actions: [nowhere], data });
  const error = await next("error");
  assert.ok(error.kind === "error");
  assert.equal(error.name, "OFPBAC_BAD_OUT_PORT");
});

test("ovs-ofctl understands the messages that it does not send itself", () => {
  const prints: readonly (readonly [Message, RegExp])[] = [
    [
      { kind: "role-request", role: "primary", generation: 5n },
      /role=(master|primary) generation_id=5/,
    ],
    [{ kind: "set-controller-id", id: 5 }, /NXT_SET_CONTROLLER_ID .*id=5/],
    [{ kind: "set-async", masks: [{ property: 1, mask: 3 }] }, /PACKET_IN: no_match action/],
  ];
  for (const [message, expected] of prints) {
    const writer = new Writer();
    encodeMessage(writer, message, 1);
    assert.match(ofctl("ofp-print", Buffer.from(writer.view()).toString("hex")), expected);
  }
});

test("a bridge without OpenFlow 1.5 is told from a switch that is away", async () => {
  vsctl(
    "add-br",
    "br1",
    "--",
    "set",
    "bridge",
    "br1",
    "datapath_type=dummy",
    "protocols=OpenFlow13",
  );
  const open = OpenFlowClient.open({ address: { path: bridgeSocket("br1") } });
  await assert.rejects(open, { name: "UnavailableError", message: /add OpenFlow15 to its column/ });
  const nowhere = OpenFlowClient.open({ address: { path: bridgeSocket("none") } });
  await assert.rejects(nowhere, { name: "UnavailableError", message: /ENOENT/ });
});

test("requests fail when the switch dies, and the connection says so", async () => {
  await using other = await OpenVswitch.start();
  const database = `--db=unix:${other.databaseSocket}`;
  execFileSync("ovs-vsctl", [
    database,
    "add-br",
    "b",
    "--",
    "set",
    "bridge",
    "b",
    "datapath_type=dummy",
  ]);
  const path = join(other.rundir, "b.mgmt");
  await using victim = await OpenFlowClient.open({ address: { path } });
  await other.killSwitch();
  assert.ok((await victim.closed) instanceof UnavailableError);
  await assert.rejects(victim.dumpFlows(), UnavailableError);
  await assert.rejects(victim.bundle([addFlow(flowOf({}))]), UnavailableError);
});
