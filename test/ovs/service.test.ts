// What the flows and groups of one node do with connections to Services' virtual addresses, on a real switch.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { refusals } from "../../src/pipeline/cookie.ts";
import { groupBody } from "../../src/openflow/group-change.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Resource } from "../../src/southbound/resources.ts";
import { examplePipeline } from "../../tools/pipeline-example.ts";
import { OpenVswitch } from "./open-vswitch.ts";
import { type Trace, TracedBridge } from "./traced-bridge.ts";

const router = "0a:15:0b:a2:00:01";
const fromWeb = `in_port=1,dl_src=0a:00:00:00:00:01,dl_dst=${router}`;
const fromBatch = `in_port=3,dl_src=0a:00:00:00:00:03,dl_dst=${router}`;
const fromGateway = `in_port=100,dl_src=0a:00:00:00:ff:01,dl_dst=${router}`;
const fromN2 = `in_port=200,tun_src=172.18.0.12,tun_id=77,dl_src=${router},dl_dst=${router}`;
const tunnel = 200;

const sql = { id: "shop/sql", vip: "10.96.0.10", vip6: "fd00:96::10" } as const;

function service(
  id: string,
  address: string,
  changes: { localOnly?: boolean; sticky?: boolean; ports?: readonly number[] } = {},
): Resource {
  const { localOnly = false, sticky = false, ports = [15432] } = changes;
  const frontends = ports.map((port) => ({ address, port, scope: "cluster" as const }));
  return {
    kind: "service",
    id,
    name: id,
    portName: "",
    domain: "default",
    protocol: "TCP",
    family: address.includes(":") ? 6 : 4,
    frontends,
    internalPolicy: localOnly ? "Local" : "Cluster",
    externalPolicy: "Cluster",
    ...(sticky && { affinitySeconds: 10_800 }),
  };
}

function backend(id: string, address: string, port: number, node: string): Resource {
  const key = `${id} ${address}:${port}`;
  return { kind: "backend", id: key, service: id, address, port, node, ready: true };
}

function tcp(source: string, destination: string, port: number): string {
  const v6 = source.includes(":");
  const prefix = v6 ? "ipv6" : "nw";
  const ends = `${prefix}_src=${source},${prefix}_dst=${destination}`;
  return `${v6 ? "tcp6" : "tcp"},${ends},nw_ttl=64,tcp_dst=${port}`;
}

function assertTranslated(trace: Trace, to: string, output: number): void {
  assert.match(trace.text, new RegExp(`nat\\(dst=${to.replaceAll(/[[\].]/g, "\\$&")}\\)`));
  assert.deepEqual(trace.outputs, [output], trace.text);
}

function assertRefused(trace: Trace, reason?: keyof typeof refusals): void {
  assert.deepEqual(trace.outputs, [], trace.text);
  assert.doesNotMatch(trace.text, /nat\(dst/);
  if (reason === undefined) return;
  assert.equal(trace.steps.at(-1)?.cookie?.number, refusals[reason], trace.text);
}

describe("services on a switch", () => {
  let ovs: OpenVswitch;
  let bridge: TracedBridge;
  let pipeline: Pipeline;

  const trace = async (packet: string, ...state: readonly string[]): Promise<Trace> =>
    await bridge.trace(packet, ...(state.length === 0 ? ["trk,new", "trk,est"] : state));
  const apply = async (upserts: readonly Resource[], deletes: readonly Resource[] = []) =>
    await bridge.change(pipeline.apply({ upserts, deletes }));

  before(async () => {
    ovs = await OpenVswitch.start();
    bridge = await TracedBridge.create(ovs, "n1", { plain: [1, 3, 100], tunnel, udpPort: 4789 });
    pipeline = examplePipeline();
    await bridge.change({ upserts: [...pipeline.flows()], deletes: [] });
    await apply([
      backend(sql.id, "10.0.1.2", 5432, "n2"),
      service(sql.id, sql.vip),
      backend(`${sql.id}/6`, "fd00:0:0:1::2", 5432, "n2"),
      service(`${sql.id}/6`, sql.vip6),
    ]);
  });

  after(async () => {
    await bridge[Symbol.asyncDispose]();
    await ovs[Symbol.asyncDispose]();
  });

  test("a connection to the virtual address goes to the backend, if policies admit it there", async () => {
    const toBackend = await trace(`${fromWeb},${tcp("10.0.1.1", sql.vip, 15432)}`);
    assertTranslated(toBackend, "10.0.1.2:5432", tunnel);
    const six = await trace(`${fromWeb},${tcp("fd00:0:0:1::1", sql.vip6, 15432)}`);
    assertTranslated(six, "[fd00:0:0:1::2]:5432", tunnel);
  });

  test("policies are asked about the backend's port and not the virtual one", async () => {
    const http = "shop/http";
    await apply([
      backend(http, "10.0.1.2", 80, "n2"),
      service(http, "10.96.0.11", { ports: [5432] }),
    ]);
    assertRefused(await trace(`${fromWeb},${tcp("10.0.1.1", "10.96.0.11", 5432)}`));
    const open = await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.11", 5432)}`);
    assertTranslated(open, "10.0.1.2:80", tunnel);
  });

  test("what no service takes of a virtual address is refused", async () => {
    for (const packet of [
      tcp("10.0.1.3", sql.vip, 15433),
      `udp,nw_src=10.0.1.3,nw_dst=${sql.vip},nw_ttl=64,udp_dst=15432`,
      `icmp,nw_src=10.0.1.3,nw_dst=${sql.vip},nw_ttl=64,icmp_type=8`,
    ]) {
      assertRefused(await trace(`${fromBatch},${packet}`), "noService");
    }
  });

  test("the node's own connections are balanced, those of peers are not a second time", async () => {
    const own = await trace(`${fromGateway},${tcp("172.18.0.11", sql.vip, 15432)}`);
    assertTranslated(own, "10.0.1.2:5432", tunnel);
    assertRefused(await trace(`${fromN2},${tcp("10.0.1.2", sql.vip, 15432)}`));
  });

  test("a reply may show the virtual address, and one that another node forges may not", async () => {
    const reply = tcp("10.0.1.2", "10.0.1.1", 40000);
    assert.deepEqual((await trace(`${fromN2},${reply}`, "trk,est,rpl")).outputs, [1]);
    const forged = tcp("10.0.1.3", "10.0.1.1", 40000);
    assertRefused(await trace(`${fromN2},${forged}`, "trk,est,rpl"));
  });

  test("a service without a backend, or with none on this node where only those count, drops", async () => {
    const empty = service("shop/empty", "10.96.0.12");
    await apply([empty]);
    assertRefused(await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.12", 15432)}`), "noBackend");
    const local = service("shop/empty", "10.96.0.12", { localOnly: true });
    await apply([local, backend("shop/empty", "10.0.1.2", 5432, "n2")]);
    assertRefused(await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.12", 15432)}`), "noBackend");
    await apply([backend("shop/empty", "10.0.1.1", 8080, "n1")]);
    const here = await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.12", 15432)}`);
    assertTranslated(here, "10.0.1.1:8080", 1);
  });

  test("a backend that is about to end is used only where no other is left", async () => {
    const ending = { ...backend("shop/last", "10.0.1.2", 81, "n2"), ready: false };
    await apply([service("shop/last", "10.96.0.14"), ending]);
    const packet = `${fromBatch},${tcp("10.0.1.3", "10.96.0.14", 15432)}`;
    assertTranslated(await trace(packet), "10.0.1.2:81", tunnel);
    await apply([backend("shop/last", "10.0.1.2", 82, "n2")]);
    assertTranslated(await trace(packet), "10.0.1.2:82", tunnel);
  });

  test("a frontend that two services claim belongs to neither", async () => {
    await apply([service("shop/rival", sql.vip)]);
    assertRefused(await trace(`${fromBatch},${tcp("10.0.1.3", sql.vip, 15432)}`));
    assert.match(JSON.stringify(pipeline.problems()), /belongs to several services/);
    await apply([], [service("shop/rival", sql.vip)]);
    const again = await trace(`${fromBatch},${tcp("10.0.1.3", sql.vip, 15432)}`);
    assertTranslated(again, "10.0.1.2:5432", tunnel);
  });

  test("a client's connections to a sticky service all go to one backend, UDP is spread by its ports", async () => {
    const backends = (id: string): Resource[] =>
      Array.from({ length: 8 }, (_, index) => backend(id, `10.0.9.${index}`, 80, "n2"));
    const choiceOf = async (packet: string): Promise<string> => {
      const { text } = await trace(`${fromBatch},${packet}`, "trk,new", "trk,est");
      return /using bucket (\d+)/.exec(text)?.[1] ?? text;
    };
    const ports = Array.from({ length: 40 }, (_, index) => 40_000 + index);
    const [sticky, udp] = ["shop/sticky", "shop/udp"];
    await apply([service(sticky, "10.96.0.15", { sticky: true }), ...backends(sticky)]);
    const stuck = ports.map(
      async (port) => await choiceOf(`${tcp("10.0.1.3", "10.96.0.15", 15432)},tcp_src=${port}`),
    );
    assert.equal(new Set(await Promise.all(stuck)).size, 1);
    const dns: Resource = {
      kind: "service",
      id: udp,
      name: udp,
      portName: "",
      domain: "default",
      protocol: "UDP",
      family: 4,
      frontends: [{ address: "10.96.0.16", port: 53, scope: "cluster" }],
      internalPolicy: "Cluster",
      externalPolicy: "Cluster",
    };
    await apply([dns, ...backends(udp)]);
    const ends = "udp,nw_src=10.0.1.3,nw_dst=10.96.0.16,nw_ttl=64,udp_dst=53";
    const spread = ports.map(async (port) => await choiceOf(`${ends},udp_src=${port}`));
    assert.ok(new Set(await Promise.all(spread)).size > 4);
    const groups = await bridge.dumpGroups();
    assert.equal(groups.filter(({ hashFields }) => hashFields !== undefined).length, 2);
  });

  test("thousands of backends come and go, and the switch's group is what is wanted", async () => {
    const id = "shop/many";
    const all = Array.from({ length: 2_500 }, (_, index) =>
      backend(id, `10.0.${8 + (index >> 8)}.${index & 255}`, 80, "n2"),
    );
    const same = async (): Promise<void> => {
      const actual = (await bridge.dumpGroups()).map((group) => `${group.id} ${groupBody(group)}`);
      const wanted = [...pipeline.groups()].map((group) => `${group.id} ${groupBody(group)}`);
      assert.deepEqual(actual.toSorted(), wanted.toSorted());
    };
    await apply([service(id, "10.96.0.13"), ...all]);
    await same();
    const [group] = [...pipeline.groups()].filter(({ buckets }) => buckets.length > 500);
    assert.equal(group?.buckets.length, 1_000);
    const changes = pipeline.apply({ upserts: [], deletes: all.slice(100, 103) });
    await bridge.change(changes);
    assert.ok(changes.deletes.length <= 6, `${changes.deletes.length} flows are gone`);
    await same();
    await apply([], [service(id, "10.96.0.13"), ...all]);
    await same();
  });
});
