// What becomes of connections of every protocol when policies change, on a switch that tracks them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionReview, mayRevoke } from "../../src/agent/connections/connection-review.ts";
import { ConnectionTable } from "../../src/agent/connections/connection-table.ts";
import { LookupTable } from "../../src/agent/dns/lookup-table.ts";
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

/** TCP, UDP, ICMP, and two protocols of which a port says nothing. */
const layers = [
  "6,tos=0,ttl=64,frag=no),tcp(src=40000,dst=80),tcp_flags(syn)",
  "17,tos=0,ttl=64,frag=no),udp(src=40000,dst=80)",
  "1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)",
  "47,tos=0,ttl=64,frag=no)",
  "253,tos=0,ttl=64,frag=no)",
];

const datagram = "17,tos=0,ttl=64,frag=no),udp(src=41000,dst=80)";

interface World {
  readonly ovs: OpenVswitch;
  readonly state: NodeState;
  readonly table: ConnectionTable;
  readonly review: ConnectionReview;
  /** Puts the resources in force. */
  readonly change: (delta: Delta) => Promise<void>;
  /** Protocol and below, as dpctl(8) writes packets. */
  readonly send: (from: 1 | 2, to: 1 | 2, layer: string) => Promise<void>;
  /** Protocols of the tracked connections, waited for until there are so many. */
  readonly tracked: (count: number) => Promise<readonly number[]>;
}

/** A client and a server on one switch, and nothing between them that is closed. */
async function world(stack: AsyncDisposableStack): Promise<World> {
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
  const control = (): string => ovs.controlSocket;
  const table = new ConnectionTable(control, {
    datapath: "dummy@ovs-dummy",
    namedOnDelete: () => process.env["OVS_PKGDATADIR"] !== undefined,
  });
  const log = createLog({ name: "test", level: "silent" });
  const lookups = { table: new LookupTable([], 0), keep: () => undefined };
  const review = new ConnectionReview({ state, table, control, lookups, log });
  review.connected(client);
  const protocols = async (): Promise<readonly number[]> => {
    const list = await table.list();
    return list.map(({ protocol }) => protocol).toSorted((a, b) => a - b);
  };
  return {
    ovs,
    state,
    table,
    review,
    change: async (delta) => await bridge.change(state.applyResources(delta, false)),
    async send(from, to, layer) {
      const ethernet = `eth(src=0a:00:00:00:00:0${from},dst=${router}),eth_type(0x0800)`;
      const packet = `in_port(${from}),${ethernet},ipv4(src=10.0.0.${from},dst=10.0.0.${to},proto=${layer}`;
      await unixctl(ovs.controlSocket, "netdev-dummy/receive", [`n1p${from}`, packet]);
    },
    async tracked(count) {
      for (let attempt = 0; attempt < 100; attempt++) {
        const list = await protocols();
        if (list.length === count) return list;
        await sleep(20);
      }
      return await protocols();
    },
  };
}

test("what is not admitted any more is cut whatever its protocol, and its server cannot open it again", async () => {
  await using stack = new AsyncDisposableStack();
  const { state, table, review, change, send, tracked } = await world(stack);
  for (const layer of layers) await send(1, 2, layer);
  assert.deepEqual(await tracked(5), [1, 6, 17, 47, 253]);
  assert.ok(mayRevoke(closed, state));
  await change(closed);
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

test("a review ends when nothing passes any more by what the datapath remembers", async () => {
  await using stack = new AsyncDisposableStack();
  const { ovs, review, change, send, tracked } = await world(stack);
  await send(1, 2, datagram.replace("41000", "40999"));
  assert.deepEqual(await tracked(1), [17]);
  await unixctl(ovs.controlSocket, "revalidator/pause");
  await change(closed);
  let ended = false;
  const reviewed = review.run().then(() => (ended = true));
  await send(1, 2, datagram);
  assert.deepEqual(await tracked(2), [17, 17], "the datapath still goes by the flows of before");
  await sleep(200);
  assert.equal(ended, false);
  await unixctl(ovs.controlSocket, "revalidator/resume");
  await reviewed;
  assert.deepEqual(await tracked(0), []);
  await send(1, 2, datagram.replace("41000", "41001"));
  await sleep(20);
  assert.deepEqual(await tracked(0), []);
});
