// What becomes of connections of every protocol when policies change, on a switch that tracks them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionReview, mayRevoke } from "../../src/agent/connection-review.ts";
import { ConnectionTable } from "../../src/agent/connection-table.ts";
import { NodeState } from "../../src/agent/node-state.ts";
import { StateFile } from "../../src/agent/state-file.ts";
import { createLog } from "../../src/runtime/log.ts";
import type { Delta, Resource } from "../../src/southbound/resources.ts";
import { OpenFlowClient } from "../../src/switch/openflow-client.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { OpenVswitch } from "./open-vswitch.ts";
import { TracedBridge } from "./traced-bridge.ts";

const router = "0a:15:0b:a2:00:01";

function endpoint(number: number, identity: string): Resource {
  const mac = `0a:00:00:00:00:0${number}`;
  const addresses = [`10.0.0.${number}`];
  return { kind: "endpoint", id: identity, domain: "d", node: "n1", addresses, mac, identity };
}

const open: readonly Resource[] = [
  { kind: "domain", id: "d", vni: 7, pools: ["10.0.0.0/16"] },
  { kind: "node", id: "n1", addresses: ["192.0.2.1"] },
  { kind: "posture", id: "client", ingress: [], egress: [] },
  { kind: "posture", id: "server", ingress: [], egress: [] },
  endpoint(1, "client"),
  endpoint(2, "server"),
];
const closed: Delta = {
  upserts: [{ kind: "posture", id: "server", ingress: ["closed"], egress: [] }],
  deletes: [],
};

/** A datapath that lets something in while it still remembers the flows of before. */
class LateTable extends ConnectionTable {
  late: (() => Promise<void>) | undefined;

  override async settled(): Promise<void> {
    await this.late?.();
    await super.settled();
  }
}

/** TCP, UDP, ICMP, and two protocols of which a port says nothing. */
const layers = [
  "6,tos=0,ttl=64,frag=no),tcp(src=40000,dst=80),tcp_flags(syn)",
  "17,tos=0,ttl=64,frag=no),udp(src=40000,dst=80)",
  "1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)",
  "47,tos=0,ttl=64,frag=no)",
  "253,tos=0,ttl=64,frag=no)",
];

test("what is not admitted any more is cut whatever its protocol, and its server cannot open it again", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "isobar-review-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const ovs = stack.use(await OpenVswitch.start());
  const bridge = stack.use(
    await TracedBridge.create(ovs, "n1", { plain: [1, 2], tunnel: 200, udpPort: 4789 }),
  );
  const path = join(ovs.rundir, "n1.mgmt");
  const client = stack.use(await OpenFlowClient.open({ address: { path } }));
  const file = stack.use(StateFile.open(join(folder, "agent.db"), assert.ifError));
  const state = new NodeState("n1", file, assert.ifError);
  await bridge.change(state.load());
  await bridge.change(state.applyResources({ upserts: open, deletes: [] }, true));
  const ports = ["client", "server"].map(
    (id, index) => ({ kind: "port", id, ofport: index + 1 }) as const,
  );
  await bridge.change(state.applyLocal({ upserts: ports, deletes: [] }));
  const table = new LateTable(() => ovs.controlSocket, "dummy@ovs-dummy");
  const review = new ConnectionReview(state, table, createLog({ name: "test", level: "silent" }));
  review.connected(client);

  const send = async (from: 1 | 2, to: 1 | 2, layer: string): Promise<void> => {
    const ethernet = `eth(src=0a:00:00:00:00:0${from},dst=${router}),eth_type(0x0800)`;
    const packet = `in_port(${from}),${ethernet},ipv4(src=10.0.0.${from},dst=10.0.0.${to},proto=${layer}`;
    await unixctl(ovs.controlSocket, "netdev-dummy/receive", [`n1p${from}`, packet]);
  };
  const tracked = async (count: number): Promise<readonly number[]> => {
    for (let attempt = 0; attempt < 100; attempt++) {
      const list = await table.list();
      if (list.length === count)
        return list.map(({ protocol }) => protocol).toSorted((a, b) => a - b);
      await sleep(20);
    }
    return (await table.list()).map(({ protocol }) => protocol).toSorted((a, b) => a - b);
  };

  for (const layer of layers) await send(1, 2, layer);
  assert.deepEqual(await tracked(5), [1, 6, 17, 47, 253]);
  assert.ok(mayRevoke(closed, state));
  await bridge.change(state.applyResources(closed, false));
  table.late = async () => {
    assert.deepEqual(await tracked(0), []);
    await bridge.change(state.applyResources({ upserts: open, deletes: [] }, false));
    await new ConnectionTable(() => ovs.controlSocket, "dummy@ovs-dummy").settled();
    await send(1, 2, "17,tos=0,ttl=64,frag=no),udp(src=41000,dst=80)");
    assert.deepEqual(await tracked(1), [17]);
    await bridge.change(state.applyResources(closed, false));
  };
  await review.run();
  assert.deepEqual(await tracked(0), []);

  const answers = layers.map((layer) =>
    layer.replace("src=40000,dst=80", "src=80,dst=40000").replace("type=8", "type=0"),
  );
  for (const answer of answers) await send(2, 1, answer);
  for (const layer of layers) await send(1, 2, layer);
  // What the switch does with them takes no time that could be waited for: one that passes shows that they were seen.
  await send(2, 1, "17,tos=0,ttl=64,frag=no),udp(src=9,dst=9)");
  assert.deepEqual(await tracked(1), [17]);
  assert.equal((await table.list())[0]?.destinationPort, 9);
});
