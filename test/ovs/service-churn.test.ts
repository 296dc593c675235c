// Services and backends that come and go on a real switch: what they leave, and what their clients are remembered by.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LocalNumbers } from "../../src/pipeline/numbers.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { BackendResource, ServiceResource } from "../../src/southbound/resources.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { examplePipeline } from "../../tools/pipeline-example.ts";
import { OpenVswitch } from "./open-vswitch.ts";
import { TracedBridge } from "./traced-bridge.ts";

const client = { port: "n1p3", mac: "0a:00:00:00:00:03", address: "10.0.1.3" } as const;
const router = "0a:15:0b:a2:00:01";

function service(index: number): ServiceResource {
  const address = `10.96.${index >> 8}.${index & 255}`;
  return {
    kind: "service",
    id: `shop/s${index}`,
    name: `shop/s${index}`,
    portName: "",
    domain: "default",
    protocol: index % 3 === 0 ? "UDP" : "TCP",
    family: 4,
    frontends: [
      { address, port: 80, scope: "cluster" },
      { address: `198.18.${index >> 8}.${index & 255}`, port: 80, scope: "external" },
    ],
    nodePort: 30_000 + index,
    internalPolicy: index % 5 === 0 ? "Local" : "Cluster",
    externalPolicy: index % 2 === 0 ? "Local" : "Cluster",
    ...(index % 2 === 0 && { affinitySeconds: 10_800 }),
  };
}

function backends(index: number, length: number): readonly BackendResource[] {
  return Array.from({ length }, (_, at) => ({
    kind: "backend",
    id: `shop/s${index} ${at}`,
    service: `shop/s${index}`,
    address: `10.0.${index & 255}.${10 + at}`,
    port: 8080,
    node: at % 2 === 0 ? "n1" : "n2",
    ready: at % 4 !== 3,
    weight: 1 + (at % 3),
  }));
}

describe("services that come and go", () => {
  let ovs: OpenVswitch;
  let bridge: TracedBridge;
  let pipeline: Pipeline;
  const numbers = new LocalNumbers();

  before(async () => {
    ovs = await OpenVswitch.start();
    const ports = { plain: [1, 3, 100], tunnel: 200, udpPort: 4789 };
    bridge = await TracedBridge.create(ovs, "n1", ports);
    pipeline = examplePipeline(numbers);
    await bridge.change({ upserts: [...pipeline.flows()], deletes: [] });
  });
  after(async () => {
    await bridge[Symbol.asyncDispose]();
    await ovs[Symbol.asyncDispose]();
  });

  /** A client's new connection, as a packet that the switch handles and not only explains. */
  async function connect(destination: string, sourcePort: number): Promise<void> {
    const ip = `ipv4(src=${client.address},dst=${destination},proto=6,tos=0,ttl=64,frag=no)`;
    const packet = `in_port(3),eth(src=${client.mac},dst=${router}),eth_type(0x0800),${ip},tcp(src=${sourcePort},dst=80),tcp_flags(syn)`;
    await unixctl(ovs.controlSocket, "netdev-dummy/receive", [client.port, packet]);
  }

  async function learnt(): Promise<number> {
    return (await bridge.countFlows()).get("Affinity") ?? 0;
  }

  test("leave no flow, no group, no number and no remembered client after a thousand times", async () => {
    const counts = await bridge.countFlows();
    const numbered = [...numbers.entries()].length;
    const alive: number[] = [];
    let remembered = 0;
    for (let index = 0; index < 1_000; index++) {
      const upserts = [...backends(index, index % 7), service(index)];
      await bridge.change(pipeline.apply({ upserts, deletes: [] }));
      alive.push(index);
      if (index % 50 === 4) {
        await connect(service(index).frontends[0]?.address ?? "", 40_000 + index);
        remembered += await learnt();
      }
      // Backends go before their service, together with it, or after.
      if (alive.length < 20) continue;
      const gone = alive.shift() ?? 0;
      const parts = [backends(gone, gone % 7), [service(gone)]];
      const order = gone % 3 === 0 ? [parts.flat()] : gone % 3 === 1 ? parts : parts.toReversed();
      for (const deletes of order) {
        await bridge.change(pipeline.apply({ upserts: [], deletes }));
      }
    }
    assert.ok(remembered > 0, "nobody was remembered");
    for (const index of alive) {
      const deletes = [service(index), ...backends(index, index % 7)];
      await bridge.change(pipeline.apply({ upserts: [], deletes }));
    }
    assert.deepEqual(await bridge.dumpGroups(), []);
    assert.deepEqual(await bridge.countFlows(), counts);
    assert.equal([...numbers.entries()].length, numbered);
  });

  test("a client is remembered, and not by a backend that is gone", async () => {
    const sticky: ServiceResource = { ...service(2), id: "shop/sticky", internalPolicy: "Cluster" };
    const all = backends(2, 8).map((one, at) => ({
      ...one,
      service: "shop/sticky",
      ready: true,
      address: `10.0.1.${50 + at}`,
    }));
    await bridge.change(pipeline.apply({ upserts: [sticky, ...all], deletes: [] }));
    const vip = sticky.frontends[0]?.address ?? "";
    const packet = `in_port=3,dl_src=${client.mac},dl_dst=${router},tcp,nw_src=${client.address},nw_dst=${vip},nw_ttl=64,tcp_dst=80`;
    assert.equal(await learnt(), 0);
    await connect(vip, 50_000);
    assert.equal(await learnt(), 1);
    const remembered = await bridge.trace(`${packet},tcp_src=50001`, "trk,new", "trk,est");
    const [table] = remembered.steps.filter((step) => step.table === "Choice");
    assert.equal(table?.priority, 200, "no group is asked");
    assert.doesNotMatch(remembered.text, /group:/);
    const number = /load:(0x[0-9a-f]+)->NXM_NX_REG15/.exec(remembered.text)?.[1];
    const key = [...numbers.entries()].find(
      (entry) => entry.kind === "backend" && entry.number === Number(number),
    )?.key;
    const gone = all.filter(({ address }) => key?.includes(` ${address} `) ?? false);
    assert.equal(gone.length, 1, `${number} ${key}`);
    await bridge.change(pipeline.apply({ upserts: [], deletes: gone }));
    const again = await bridge.trace(`${packet},tcp_src=50002`, "trk,new", "trk,est");
    assert.match(again.text, /group:/, "another one is picked");
    await connect(vip, 50_003);
    assert.equal(await learnt(), 1, "in place of the one that is gone");
    await bridge.change(pipeline.apply({ upserts: [], deletes: [sticky, ...all] }));
    assert.equal(await learnt(), 0);
  });
});
