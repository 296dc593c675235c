import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { addFlow, deleteFlow } from "../../src/openflow/flow-mod.ts";
import { flowBody, flowKey } from "../../src/openflow/flow-key.ts";
import { LocalNumbers } from "../../src/pipeline/numbers.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Resource } from "../../src/southbound/resources.ts";
import { OpenFlowClient } from "../../src/switch/openflow-client.ts";
import { OvsBridge } from "../../src/switch/ovs-bridge.ts";
import { OvsdbClient } from "../../src/switch/ovsdb-client.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { SwitchProxy } from "../agent/switch-proxy.ts";
import { TestController } from "../agent/test-controller.ts";
import { OpenVswitch } from "./open-vswitch.ts";

/** Endpoint `n`: even ones are of identity a, odd ones of b; every third is on another node. */
function endpoint(n: number): Resource {
  return {
    kind: "endpoint",
    id: `shop/pod-${n}`,
    domain: "default",
    node: n % 3 === 0 ? "node-2" : "node-1",
    addresses: [`10.0.${n >> 8}.${n & 255}`],
    mac: `0a:00:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`,
    identity: n % 2 === 0 ? "shop:a" : "shop:b",
  };
}

const cluster: readonly Resource[] = [
  { kind: "domain", id: "default", vni: 7, pools: ["10.0.0.0/16"] },
  { kind: "node", id: "node-1", addresses: ["192.0.2.1"] },
  { kind: "node", id: "node-2", addresses: ["192.0.2.2"] },
  { kind: "group", id: "a", identities: ["shop:a"], networks: [] },
  { kind: "group", id: "b", identities: ["shop:b"], networks: [] },
  {
    kind: "rule",
    id: "web",
    direction: "ingress",
    tier: "networkpolicy",
    priority: 0,
    action: "allow",
    subjects: ["a"],
    peers: ["b"],
    ports: [{ protocol: "TCP", from: 80, to: 80 }],
    policy: "NetworkPolicy/shop/web",
    ruleIndex: 0,
  },
  { kind: "posture", id: "shop:a", ingress: ["NetworkPolicy/shop/web"], egress: [] },
  { kind: "posture", id: "shop:b", ingress: [], egress: [] },
  ...Array.from({ length: 30 }, (_, n) => endpoint(n + 1)),
];

/** As deepEqual, without printing hundreds of flows. */
function assertSameFlows(actual: Map<string, string>, expected: Map<string, string>): void {
  const differing = [...new Set([...actual.keys(), ...expected.keys()])].filter(
    (key) => actual.get(key) !== expected.get(key),
  );
  assert.equal(differing.length, 0, `flows that differ: ${JSON.stringify(differing.slice(0, 5))}`);
}

/** Mulberry32: a small generator, so that a failure can be repeated with its seed. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Node extends AsyncDisposable {
  readonly ovs: OpenVswitch;
  readonly controller: TestController;
  readonly agent: AgentProcess;
  /** Between agent and switch. */
  readonly proxy: SwitchProxy;
  readonly folder: string;
  readonly controllerSocket: string;
  /** A port for an endpoint, as the agent labels it. */
  addPort(endpointId: string, name: string): Promise<void>;
  flows(): Promise<Map<string, string>>;
}

/** A switch, an agent that is not started yet, and a controller that knows the cluster. */
async function node(): Promise<Node> {
  const stack = new AsyncDisposableStack();
  const ovs = stack.use(await OpenVswitch.start());
  const folder = join(ovs.rundir, "agent");
  mkdirSync(folder);
  const controllerSocket = join(folder, "controller.sock");
  const controller = stack.use(await TestController.listen(controllerSocket));
  controller.change(cluster);
  const proxy = stack.use(
    await SwitchProxy.listen(join(folder, "br-int.mgmt"), join(ovs.rundir, "br-int.mgmt")),
  );
  const agent = stack.use(
    new AgentProcess({
      node: "node-1",
      folder,
      controllers: [controllerSocket],
      ovsdb: ovs.databaseSocket,
      rundir: folder,
      datapathType: "dummy",
    }),
  );
  const database = new OvsdbClient({ address: { path: ovs.databaseSocket } });
  stack.defer(async () => await database.close());
  return {
    ovs,
    controller,
    agent,
    proxy,
    folder,
    controllerSocket,
    async addPort(endpointId, name) {
      await database.connected(5_000);
      const bridge = await OvsBridge.open(database, { name: "br-int", datapathType: "dummy" });
      const externalIds = { "isobar-endpoint": endpointId, "isobar-container": name };
      await bridge.addPorts([{ name, externalIds }]);
    },
    async flows() {
      await using client = await OpenFlowClient.open({
        address: { path: join(ovs.rundir, "br-int.mgmt") },
      });
      const entries = await client.dumpFlows();
      return new Map(entries.map(({ flow }) => [flowKey(flow), flowBody(flow)]));
    },
    [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
  };
}

test("a controller's first words become flows, and later ones only their difference", async () => {
  await using one = await node();
  await one.agent.start();
  const ack = await one.controller.confirmed();
  assert.deepEqual(ack.errors, []);
  const status = await one.agent.status();
  assert.equal(status.controller, "test");
  assert.equal(status.revision, one.controller.revision);
  assert.equal(status.resources["endpoint"], 30);
  const pipeline = new Pipeline({ node: "node-1", numbers: new LocalNumbers() });
  pipeline.apply({ upserts: cluster, deletes: [] });
  assert.ok(pipeline.length > 50, String(pipeline.length));
  assert.ok(status.flows >= pipeline.length);
  assert.equal((await one.flows()).size, status.flows);

  one.proxy.reset();
  one.controller.change([endpoint(31)]);
  await one.controller.confirmed();
  assert.ok(one.proxy.flowMods >= 1 && one.proxy.flowMods <= 3, String(one.proxy.flowMods));
  assert.equal(one.proxy.commits, 1);
  one.proxy.reset();
  one.controller.change([endpoint(31)]);
  await one.controller.confirmed();
  assert.equal(one.proxy.flowMods, 0);
});

test("an agent killed at any point and started again changes nothing that is right", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  await one.addPort("shop/pod-1", "pod1");
  await one.addPort("shop/pod-2", "pod2");
  await one.agent.until((status) => status.endpoints.length === 2);
  one.controller.change([endpoint(32)]);
  await one.controller.confirmed();
  const before = await one.flows();

  const seed = Number(process.env["ISOBAR_TEST_SEED"] ?? Date.now() % 100_000);
  const random = pseudoRandom(seed);
  for (let round = 0; round < 6; round++) {
    await one.agent.stop("SIGKILL");
    one.proxy.reset();
    const starting = one.agent.start();
    // Half of the time it is killed again before it is up.
    if (random() < 0.5) {
      await sleep(random() * 500);
      await one.agent.stop("SIGKILL");
      await starting.catch(() => undefined);
      await one.agent.start();
    } else {
      await starting;
    }
    await one.agent.until((status) => status.switchConnected && status.controller === "test");
    await one.agent.until((status) => status.flows === before.size);
    assert.equal(one.proxy.flowMods, 0, `round ${round}, seed ${seed}`);
    assertSameFlows(await one.flows(), before);
  }
});

test("an agent killed between deltas ends with the flows of one that was not", async () => {
  await using one = await node();
  await one.agent.start();
  const seed = Number(process.env["ISOBAR_TEST_SEED"] ?? Date.now() % 100_000);
  const random = pseudoRandom(seed);
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 20; n++) {
      const id = 1 + Math.floor(random() * 60);
      if (random() < 0.6) one.controller.change([endpoint(id)]);
      else one.controller.change([], [{ kind: "endpoint", id: `shop/pod-${id}` }]);
    }
    await sleep(random() * 20);
    await one.agent.stop("SIGKILL");
    await one.agent.start();
  }
  await one.controller.confirmed();
  const numbers = new LocalNumbers();
  const pipeline = new Pipeline({ node: "node-1", numbers });
  pipeline.apply({ upserts: one.controller.resources(), deletes: [] });
  const { flows } = await one.agent.status();
  // The tunnel's and the gateway's flows come on top, the same ones as before any change.
  const local = flows - pipeline.length;
  await one.agent.stop("SIGKILL");
  one.proxy.reset();
  await one.agent.start();
  const status = await one.agent.until((now) => now.controller === "test" && now.switchConnected);
  assert.equal(status.flows - pipeline.length, local, `seed ${seed}`);
  assert.equal(one.proxy.flowMods, 0, `seed ${seed}`);
});

test("without any controller a restarted agent keeps the flows, and puts them back on a new switch", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  await one.addPort("shop/pod-1", "pod1");
  await one.agent.until((status) => status.endpoints.length === 1);
  await sleep(100);
  const before = await one.flows();
  await one.controller[Symbol.asyncDispose]();
  await one.agent.stop("SIGKILL");
  await one.ovs.killSwitch();
  one.proxy.reset();
  await one.agent.start();
  await one.ovs.startSwitch();
  await one.agent.until((status) => status.switchConnected && status.flows === before.size);
  const status = await one.agent.status();
  assert.equal(status.controller, undefined);
  assertSameFlows(await one.flows(), before);
  assert.equal(one.proxy.commits, 1, "all flows come back in one bundle");
});

test("a restarted ovs-vswitchd gets everything in one bundle", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  const before = await one.flows();
  for (let round = 0; round < 3; round++) {
    await one.ovs.killSwitch();
    await one.agent.until((status) => !status.switchConnected);
    one.proxy.reset();
    await one.ovs.startSwitch();
    await one.agent.until((status) => status.switchConnected && status.flows === before.size);
    assert.equal(one.proxy.commits, 1);
    assertSameFlows(await one.flows(), before);
  }
  one.controller.change([endpoint(40)]);
  await one.controller.confirmed();
});

test("foreign flows on the bridge go, missing ones come back, and the rest is not touched", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  const before = await one.flows();
  await one.agent.stop();
  {
    await using client = await OpenFlowClient.open({
      address: { path: join(one.ovs.rundir, "br-int.mgmt") },
    });
    const entries = (await client.dumpFlows()).map(({ flow }) => flow);
    const [victim, changed] = entries.filter(({ priority }) => priority > 0);
    assert.ok(victim !== undefined && changed !== undefined);
    const foreign = { table: 9, priority: 7, cookie: 1n, match: [], actions: [] };
    await client.bundle([
      deleteFlow(victim),
      addFlow({ ...changed, actions: [], cookie: 5n }),
      addFlow(foreign),
    ]);
  }
  one.proxy.reset();
  await one.agent.start();
  await one.controller.greeted(2);
  for (let n = 0; one.proxy.flowMods === 0 && n < 100; n++) await sleep(20);
  await one.agent.until((status) => status.flows === before.size);
  assertSameFlows(await one.flows(), before);
  assert.equal(one.proxy.flowMods, 3);
});

test("half lines, cut streams, repeated and lost deltas end in the same flows", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  const before = await one.flows();
  one.proxy.reset();

  one.controller.drop('{"type":"delta","sequence":2,"revision":');
  await one.controller.greeted(2);
  one.controller.drop();
  await one.controller.greeted(3);
  await one.agent.until((status) => status.controller === "test");
  // A delta that was there already.
  const nothing = { upserts: [], deletes: [] };
  const wrong = { upserts: [], deletes: [{ kind: "endpoint", id: "shop/pod-1" }] };
  one.controller.inject(
    `${JSON.stringify({ type: "delta", sequence: 1, revision: 1, ...wrong })}\n`,
  );
  await one.agent.until((status) => status.controller === "test");
  assert.equal(one.controller.hellos.length, 3);
  // One that lets others out, with consequences if it were taken.
  one.controller.inject(
    `${JSON.stringify({ type: "delta", sequence: 9, revision: 99, ...wrong })}\n`,
  );
  await one.controller.greeted(4);
  // What is no message at all.
  one.controller.inject(
    `${JSON.stringify({ type: "delta", sequence: "two", revision: 99, ...nothing })}\n`,
  );
  await one.controller.greeted(5);
  one.controller.inject("garbage\n");
  await one.controller.greeted(6);
  await one.agent.until((status) => status.controller === "test");
  assertSameFlows(await one.flows(), before);
  assert.equal(one.proxy.flowMods, 0);
  // After the first, no hello was answered with anything that was known.
  assert.equal(one.controller.sent, cluster.length);
});

test("with its state lost or corrupt the agent leaves the flows alone until a controller has spoken", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  const before = await one.flows();
  await one.agent.stop();
  await one.controller[Symbol.asyncDispose]();
  one.proxy.reset();
  for (const suffix of ["", "-wal"]) {
    const path = `${one.agent.stateFile}${suffix}`;
    writeFileSync(path, readFileSync(path).fill(0x55, 0, 2048));
  }
  await one.agent.start();
  const status = await one.agent.until((now) => now.switchConnected);
  assert.deepEqual(status.resources, {});
  assert.ok(one.agent.log.some(({ msg }) => /state file cannot be read/.test(String(msg))));
  await sleep(200);
  assert.equal(one.proxy.flowMods, 0);
  assertSameFlows(await one.flows(), before);

  await using controller = await TestController.listen(one.controllerSocket);
  controller.change(cluster);
  await controller.confirmed();
  assert.equal((await one.flows()).size, before.size);
});

test("SIGTERM ends the agent cleanly and leaves the flows", async () => {
  await using one = await node();
  await one.agent.start();
  await one.controller.confirmed();
  const before = await one.flows();
  assert.equal(await one.agent.stop("SIGTERM"), 0);
  assertSameFlows(await one.flows(), before);
  assert.equal(existsSync(one.agent.socket), false);
});

test("a second agent on the same state gives up and says why", async () => {
  await using one = await node();
  await one.agent.start();
  await using second = new AgentProcess(one.agent.options);
  second.spawn();
  assert.equal(await second.ended(), 1);
  assert.match(JSON.stringify(second.log), /in use: is another agent running/);
  assert.equal((await one.agent.status()).node, "node-1");
});
