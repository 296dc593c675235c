import assert from "node:assert/strict";
import { once } from "node:events";
import { type Server, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Insert } from "../../src/ovsdb/operation.ts";
import type { RowChange } from "../../src/ovsdb/row-cache.ts";
import { mapOf, recordOf, stringOf } from "../../src/ovsdb/value.ts";
import { OvsBridge, vxlanPort } from "../../src/switch/ovs-bridge.ts";
import { OvsdbClient, type OvsdbClientOptions } from "../../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../../src/switch/ovsdb-monitor.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { OpenVswitch } from "./open-vswitch.ts";

type Disposable = AsyncDisposable & OvsdbClient;

function clientOf(options: OvsdbClientOptions): Disposable {
  const client = new OvsdbClient({
    minBackoffMs: 10,
    maxBackoffMs: 50,
    requestTimeoutMs: 5_000,
    ...options,
  });
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

async function connect(ovs: OpenVswitch): Promise<Disposable> {
  const client = clientOf({ address: { path: ovs.databaseSocket } });
  await client.connected(5_000);
  return client;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 5) {
    assert.ok(waitedMs < 10_000, `expected ${what} within 10 s`);
    await sleep(5);
  }
}

/** QoS is a root table: its rows stay without a reference to them. */
function insertRow(name: string, ids: Readonly<Record<string, string>> = {}): Insert {
  return { op: "insert", table: "QoS", row: { type: name, external_ids: mapOf(ids) } };
}

function followed(monitor: OvsdbMonitor): RowChange[] {
  const changes: RowChange[] = [];
  monitor.on("change", (some) => changes.push(...some));
  return changes;
}

function names(monitor: OvsdbMonitor): string[] {
  return [...monitor.rows("QoS").values()].map((row) => stringOf(row["type"]) ?? "").toSorted();
}

const qos = { QoS: { columns: ["type", "external_ids"] } };

test("a transaction does all of its operations or none, and names the one that failed", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  await using client = await connect(ovs);
  const [inserted, selected, counted] = await client.transact([
    { ...insertRow("a", { k: "ü🐟" }), uuidName: "a" },
    {
      op: "select",
      table: "QoS",
      where: [["_uuid", "==", { namedUuid: "a" }]],
      columns: ["external_ids"],
    },
    {
      op: "mutate",
      table: "QoS",
      where: [],
      mutations: [["external_ids", "insert", mapOf({ l: "m" })]],
    },
  ]);
  assert.match(inserted?.uuid ?? "", /^[0-9a-f-]{36}$/);
  assert.deepEqual(recordOf(selected?.rows?.[0]?.["external_ids"]), { k: "ü🐟" });
  assert.deepEqual(counted, { count: 1 });
  await assert.rejects(
    client.transact([insertRow("b"), { op: "delete", table: "Nothing", where: [] }]),
    {
      name: "PeerError",
      code: "syntax error",
      message: /operation 1 \(delete Nothing\)/,
    },
  );
  await assert.rejects(client.transact([insertRow("b"), { op: "abort" }]), { code: "aborted" });
  const absent = {
    op: "wait",
    table: "QoS",
    where: [],
    columns: ["type"],
    until: "==",
    rows: [],
    timeoutMs: 0,
  } as const;
  await assert.rejects(client.transact([absent]), { code: "timed out" });
  const [rest] = await client.transact([{ op: "select", table: "QoS", where: [] }]);
  assert.equal(rest?.rows?.length, 1);
});

test("the databases and the schema can be asked for, and an unknown database is said to be unknown", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  await using client = await connect(ovs);
  assert.deepEqual((await client.listDatabases()).toSorted(), ["Open_vSwitch", "_Server"]);
  assert.equal(client.schema.name, "Open_vSwitch");
  assert.equal(client.schema.tables.get("Interface")?.columns.get("ofport")?.max, 1);
  await assert.rejects(
    client.monitor({ Bridge: { columns: ["nothing"] } }),
    /expected column Bridge.nothing/,
  );
  await using other = clientOf({ address: { path: ovs.databaseSocket }, database: "None" });
  await assert.rejects(other.connected(300), /unknown database/);
});

test("transactions sent without waiting take effect in order", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  await using client = await connect(ovs);
  const monitor = await client.monitor(qos);
  const changes = followed(monitor);
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, i) => client.transact([insertRow(`q${i}`)])),
  );
  await until("200 rows", () => monitor.rows("QoS").size === 200);
  assert.deepEqual(
    changes.map(({ uuid, after }) => [uuid, after?.["type"]]),
    results.map(([result], i) => [result?.uuid, `q${i}`]),
  );
});

test("a monitor follows inserts, changes and deletes, and only the rows that its condition lets in", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  await using client = await connect(ovs);
  await client.transact([insertRow("before")]);
  const all = await client.monitor(qos);
  const some = await client.monitor({
    QoS: { columns: ["type"], where: [["type", "==", "wanted"]] },
  });
  assert.deepEqual([names(all), names(some)], [["before"], []]);
  await client.transact([insertRow("wanted", { a: "1", b: "2" })]);
  await until("the row", () => names(all).length === 2 && names(some).length === 1);
  const changes = followed(all);
  const where = [["type", "==", "wanted"]] as const;
  await client.transact([
    {
      op: "mutate",
      table: "QoS",
      where,
      mutations: [
        ["external_ids", "delete", ["a"]],
        ["external_ids", "insert", mapOf({ c: "3" })],
      ],
    },
    { op: "update", table: "QoS", where, row: { type: "other" } },
  ]);
  await until("the change", () => names(some).length === 0);
  assert.equal(changes.length, 1);
  assert.deepEqual(recordOf(changes[0]?.before?.["external_ids"]), { a: "1", b: "2" });
  assert.deepEqual(recordOf(changes[0]?.after?.["external_ids"]), { b: "2", c: "3" });
  await client.transact([{ op: "delete", table: "QoS", where: [] }]);
  await until("no rows", () => all.rows("QoS").size === 0);
});

test("after the server was killed, the client comes back and tells only what happened meanwhile", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  await using client = await connect(ovs);
  await client.transact([
    insertRow("kept"),
    insertRow("deleted"),
    insertRow("changed", { a: "1" }),
  ]);
  const monitor = await client.monitor(qos);
  const changes = followed(monitor);
  const states: string[] = [];
  client.on("state", (state) => states.push(state));

  await ovs.killServer();
  await until("the loss noticed", () => client.state === "connecting");
  await assert.rejects(client.transact([insertRow("x")]), { name: "UnavailableError" });
  assert.deepEqual(names(monitor), ["changed", "deleted", "kept"]);
  await ovs.startServer();
  await client.connected(5_000);
  assert.deepEqual(changes, []);
  assert.equal(states.at(-1), "connected");

  await client.transact([
    insertRow("new"),
    { op: "delete", table: "QoS", where: [["type", "==", "deleted"]] },
    {
      op: "update",
      table: "QoS",
      where: [["type", "==", "changed"]],
      row: { external_ids: mapOf({ a: "2" }) },
    },
  ]);
  await until("three changes", () => changes.length === 3);
  assert.deepEqual(names(monitor), ["changed", "kept", "new"]);
});

test("what happened while the client was away is told as changes when it is back", async () => {
  for (const clustered of [false, true]) {
    await using ovs = await OpenVswitch.start({ vswitchd: false, clustered });
    await using client = clientOf({ address: { path: ovs.databaseSocket }, minBackoffMs: 500 });
    await using other = await connect(ovs);
    await client.connected(5_000);
    // The server remembers no more than the database holds, so the memory of a small transaction needs a large one.
    const ballast = Array.from({ length: 50 }, (_, i) => insertRow(`ballast-${i}`));
    await client.transact([
      insertRow("kept"),
      insertRow("deleted"),
      insertRow("changed"),
      ...ballast,
    ]);
    await client.transact([insertRow("late")]);
    const monitor = await client.monitor(qos);
    const changes = followed(monitor);
    // The server closes every connection; the first client is held back while the second writes.
    const away = Promise.all([once(client, "state"), once(other, "state")]);
    await unixctl(ovs.databaseControlSocket, "ovsdb-server/reconnect");
    await away;
    await other.connected(5_000);
    await other.transact([
      insertRow("new"),
      { op: "delete", table: "QoS", where: [["type", "==", "deleted"]] },
      {
        op: "update",
        table: "QoS",
        where: [["type", "==", "changed"]],
        row: { type: "changed-2" },
      },
    ]);
    assert.equal(client.state, "connecting");
    await client.connected(5_000);
    await until("three changes", () => changes.length >= 3);
    assert.equal(changes.length, 3, `clustered: ${clustered}`);
    const rest = names(monitor).filter((name) => !name.startsWith("ballast"));
    assert.deepEqual(rest, ["changed-2", "kept", "late", "new"]);
  }
});

test("a request in flight when the server dies fails, and closing ends everything", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  const client = await connect(ovs);
  const wait = {
    op: "wait",
    table: "QoS",
    where: [],
    columns: ["type"],
    until: "!=",
    rows: [],
  } as const;
  const pending = assert.rejects(client.transact([wait]), { name: "UnavailableError" });
  await sleep(20);
  await ovs.killServer();
  await pending;
  await client.close();
  assert.equal(client.state, "closed");
  await assert.rejects(client.connected(1_000), /client closed/);
  await assert.rejects(client.transact([]), /client closed/);
});

/** A peer that accepts and then does what `serve` says. */
async function fakeServer(
  path: string,
  serve: (write: (text: string) => void) => void,
): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    serve((text) => socket.write(text));
  });
  server.listen(path);
  await once(server, "listening");
  return server;
}

test("a server that sends garbage, stops in the middle, or says nothing is given up with the reason", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  const cases: [(write: (text: string) => void) => void, RegExp][] = [
    [(write) => write("HTTP/1.1 400\r\n"), /expected a JSON object or array, got byte 0x48/],
    [
      (write) => write('{"id":0,"result":{"name":1},"error":null}'),
      /expected a database name, got 1/,
    ],
    [(write) => write("[]"), /expected a JSON-RPC message/],
    [() => undefined, /no answer to get_schema within 100 ms/],
  ];
  for (const [index, [serve, reason]] of cases.entries()) {
    const path = join(ovs.rundir, `fake-${index}.sock`);
    const server = await fakeServer(path, serve);
    const client = clientOf({ address: { path }, requestTimeoutMs: 100 });
    await assert.rejects(client.connected(400), reason);
    await client.close();
    server.close();
  }
});

test("a server that falls silent is given up, and the client's own answers keep it up", async () => {
  await using ovs = await OpenVswitch.start({ vswitchd: false });
  await using client = clientOf({ address: { path: ovs.databaseSocket }, probeIntervalMs: 50 });
  await client.connected(5_000);
  await sleep(300);
  assert.equal(client.state, "connected");
  ovs.pauseServer();
  await until("silence noticed", () => client.state === "connecting");
  ovs.resumeServer();
  await client.connected(5_000);
});

test("a bridge is made once, its ports in one transaction, with their numbers and errors", async () => {
  await using ovs = await OpenVswitch.start();
  await using client = await connect(ovs);
  const bridge = await OvsBridge.open(client, {
    name: "br-int",
    datapathType: "dummy",
    externalIds: { a: "1" },
  });
  await bridge.ensure();
  await bridge.ensure();
  assert.deepEqual([...bridge.ports().keys()], ["br-int"]);
  assert.match(await unixctl(ovs.controlSocket, "dpif/show"), /br-int 65534\/1/);

  const ports = await bridge.addPorts([
    vxlanPort("vxlan0", { dst_port: "4790" }),
    { name: "p1", type: "dummy", ofportRequest: 77, externalIds: { endpoint: "shop/web" } },
    { name: "bad", type: "nonsense" },
  ]);
  assert.deepEqual(
    ports.map(({ name, ofport, error }) => [name, ofport, error === undefined]),
    [
      ["vxlan0", ports[0]?.ofport, true],
      ["p1", 77, true],
      ["bad", undefined, false],
    ],
  );
  assert.deepEqual(ports[0]?.options, { remote_ip: "flow", key: "flow", dst_port: "4790" });
  assert.deepEqual(ports[1]?.externalIds, { endpoint: "shop/web" });

  await bridge.addPorts([
    { name: "p1", type: "dummy", ofportRequest: 78, externalIds: { endpoint: "shop/api" } },
  ]);
  assert.deepEqual(bridge.ports().get("p1")?.externalIds, { endpoint: "shop/api" });
  assert.equal(bridge.ports().get("p1")?.ofport, 78);
  await bridge.removePorts(["p1", "bad", "nothing"]);
  assert.deepEqual([...bridge.ports().keys()].toSorted(), ["br-int", "vxlan0"]);
  await bridge.removePorts(["nothing"]);
});

test("a bridge set up by others is set right, and what others keep in it stays", async () => {
  await using ovs = await OpenVswitch.start();
  await using client = await connect(ovs);
  const first = await OvsBridge.open(client, {
    name: "br0",
    datapathType: "dummy",
    externalIds: { theirs: "x", a: "0" },
  });
  await first.ensure();
  await client.transact([
    {
      op: "update",
      table: "Bridge",
      where: [],
      row: { fail_mode: "standalone", protocols: ["OpenFlow10"] },
    },
  ]);
  const bridge = await OvsBridge.open(client, {
    name: "br0",
    datapathType: "dummy",
    externalIds: { a: "1" },
  });
  await bridge.ensure();
  const [found] = await client.transact([{ op: "select", table: "Bridge", where: [] }]);
  const [row, ...more] = found?.rows ?? [];
  assert.equal(more.length, 0);
  assert.equal(row?.["fail_mode"], "secure");
  assert.equal(row?.["protocols"], "OpenFlow15");
  assert.deepEqual(recordOf(row?.["external_ids"]), { theirs: "x", a: "1" });
});

test("ports cannot be added to a bridge that is gone, nor to one when another has them, nor without the switch", async () => {
  await using ovs = await OpenVswitch.start();
  await using client = await connect(ovs);
  const one = await OvsBridge.open(client, { name: "br1", datapathType: "dummy" });
  await assert.rejects(one.addPorts([{ name: "p", type: "dummy" }]), {
    code: "timed out",
    message: /wait Bridge/,
  });
  const two = await OvsBridge.open(client, { name: "br2", datapathType: "dummy" });
  await Promise.all([one.ensure(), two.ensure()]);
  await one.addPorts([{ name: "p", type: "dummy" }]);
  await assert.rejects(two.addPorts([{ name: "p", type: "dummy" }]), {
    code: "constraint violation",
  });
  let announced = 0;
  two.on("change", () => announced++);
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => two.addPorts([{ name: `q${i}`, type: "dummy" }])),
  );
  assert.equal(two.ports().size, 21);
  assert.ok(announced > 0);
  await ovs.killSwitch();
  await assert.rejects(two.addPorts([{ name: "late", type: "dummy" }], 100), {
    name: "UnavailableError",
  });
});

test("a daemon's command gives its output, or its words when it refuses", async () => {
  await using ovs = await OpenVswitch.start();
  assert.match(await unixctl(ovs.controlSocket, "version"), /^ovs-vswitchd \(Open vSwitch\) /);
  await assert.rejects(unixctl(ovs.controlSocket, "nonsense"), {
    name: "PeerError",
    protocol: "unixctl",
    message: /"nonsense" is not a valid command/,
  });
  await assert.rejects(unixctl(join(ovs.rundir, "none"), "version"), {
    name: "UnavailableError",
    message: /ENOENT/,
  });
});
