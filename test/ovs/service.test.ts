// What the flows and groups of one node do with connections to Services' virtual addresses, on a real switch.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { refusals } from "../../src/pipeline/cookie.ts";
import { groupBody } from "../../src/openflow/group-change.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { BackendResource, Resource, ServiceResource } from "../../src/southbound/resources.ts";
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

type Changes = Partial<Omit<ServiceResource, "kind" | "id">> & {
  readonly localOnly?: boolean;
  readonly sticky?: boolean;
  readonly ports?: readonly number[];
  readonly scope?: "cluster" | "external";
};

function service(id: string, address: string, changes: Changes = {}): ServiceResource {
  const {
    localOnly = false,
    sticky = false,
    ports = [15432],
    scope = "cluster",
    ...more
  } = changes;
  const frontends = ports.map((port) => ({ address, port, scope }));
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
    ...more,
  };
}

function backend(id: string, address: string, port: number, node: string): BackendResource {
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

/** The agent gets it, at a limited rate, and answers. */
function assertRejected(trace: Trace, reason: keyof typeof refusals): void {
  assertRefused(trace, reason);
  assert.match(trace.text, /meter\(0\),userspace\(.*controller\(/);
}

function assertDropped(trace: Trace, reason: keyof typeof refusals): void {
  assertRefused(trace, reason);
  assert.match(trace.text, /Datapath actions: drop/);
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

  test("what no service takes of a virtual address of the cluster is refused, and rejected inside", async () => {
    for (const packet of [
      tcp("10.0.1.3", sql.vip, 15433),
      `udp,nw_src=10.0.1.3,nw_dst=${sql.vip},nw_ttl=64,udp_dst=15432`,
      `icmp,nw_src=10.0.1.3,nw_dst=${sql.vip},nw_ttl=64,icmp_type=8`,
    ]) {
      assertRejected(await trace(`${fromBatch},${packet}`), "noService");
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

  test("a service without a backend, or with none on this node where only those count, rejects", async () => {
    const empty = service("shop/empty", "10.96.0.12");
    await apply([empty]);
    assertRejected(
      await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.12", 15432)}`),
      "noBackend",
    );
    const local = service("shop/empty", "10.96.0.12", { localOnly: true });
    await apply([local, backend("shop/empty", "10.0.1.2", 5432, "n2")]);
    assertRejected(
      await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.12", 15432)}`),
      "noBackend",
    );
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

  test("UDP is spread by its ports", async () => {
    const id = "shop/udp";
    const dns = service(id, "10.96.0.16", { protocol: "UDP", ports: [53] });
    await apply([
      dns,
      ...Array.from({ length: 8 }, (_, index) => backend(id, `10.0.9.${index}`, 80, "n2")),
    ]);
    const ends = "udp,nw_src=10.0.1.3,nw_dst=10.96.0.16,nw_ttl=64,udp_dst=53";
    const choices = Array.from({ length: 40 }, async (_, index) => {
      const { text } = await trace(`${fromBatch},${ends},udp_src=${40_000 + index}`);
      return /using bucket (\d+)/.exec(text)?.[1] ?? text;
    });
    assert.ok(new Set(await Promise.all(choices)).size > 4);
    const groups = await bridge.dumpGroups();
    assert.equal(groups.filter(({ hashFields }) => hashFields !== undefined).length, 1);
  });

  test("weights are shares of new connections", async () => {
    const id = "shop/weights";
    const [one, three] = [
      { ...backend(id, "10.0.9.1", 80, "n2"), weight: 1 },
      { ...backend(id, "10.0.9.2", 80, "n2"), weight: 3 },
    ];
    await apply([service(id, "10.96.0.17"), one, three]);
    const [group] = (await bridge.dumpGroups()).filter(({ buckets }) =>
      buckets.some(({ weight }) => weight === 3),
    );
    assert.deepEqual(group?.buckets.map(({ weight }) => weight).toSorted(), [1, 3]);
  });

  test("hints count where every backend has them and one is for this node or its zone", async () => {
    const id = "shop/zones";
    const packet = `${fromBatch},${tcp("10.0.1.3", "10.96.0.18", 15432)}`;
    const own = { kind: "node", id: "n1", addresses: ["172.18.0.11"] } as const;
    const [near, far] = [
      { ...backend(id, "10.0.1.2", 81, "n2"), zones: ["a"] },
      { ...backend(id, "10.0.1.2", 82, "n2"), zones: ["b"] },
    ];
    const chosen = async (): Promise<number> => {
      const [flow] = (await trace(packet)).text.match(/nat\(dst=10.0.1.2:\d+\)/g) ?? [];
      return Number(flow?.match(/:(\d+)/)?.[1]);
    };
    await apply([service(id, "10.96.0.18"), near, far]);
    assert.match((await trace(packet)).text, /group:\d+/, "the zone is not known");
    await apply([{ ...own, zone: "a" }]);
    assert.equal(await chosen(), 81);
    await apply([{ ...own, zone: "b" }]);
    assert.equal(await chosen(), 82);
    await apply([{ ...own, zone: "c" }]);
    assert.match((await trace(packet)).text, /group:\d+/, "none is for the zone");
    await apply([{ ...own, zone: "a" }, { ...backend(id, "10.0.1.2", 83, "n2") }]);
    assert.match((await trace(packet)).text, /group:\d+/, "one has no hint");
    await apply([], [backend(id, "10.0.1.2", 83, "n2")]);
    await apply([
      { ...near, nodes: ["n2"] },
      { ...far, nodes: ["n1"] },
    ]);
    assert.equal(await chosen(), 82, "the node goes before the zone");
    await apply([own]);
  });

  test("an endpoint reaches itself, past its policies, under an address that answers come back to", async () => {
    const id = "shop/self";
    await apply([
      service(id, "10.96.0.19", { ports: [80] }),
      backend(id, "10.0.1.1", 8080, "n1"),
      service(`${id}/6`, "fd00:96::19", { ports: [80] }),
      backend(`${id}/6`, "fd00:0:0:1::1", 8080, "n1"),
    ]);
    for (const [source, vip, server, hairpin] of [
      ["10.0.1.1", "10.96.0.19", "10.0.1.1:8080", "169.254.1.2"],
      ["fd00:0:0:1::1", "fd00:96::19", "[fd00:0:0:1::1]:8080", "100::2"],
    ] as const) {
      const open = `${fromWeb},${tcp(source, vip, 80)}`;
      const opened = await trace(open, "trk,new", "trk,new", "trk,new");
      assertTranslated(opened, server, 65528);
      assert.match(opened.text, new RegExp(`zone=65535,nat\\(src=${hairpin}\\)`));
      assert.match(opened.text, /mark=0x5\d{4}\/0xfffff/, "marked as a hairpin");
      const answer = `${fromWeb},${tcp(source, hairpin, 40000)}`;
      const back = await trace(answer, "trk,est,rpl", "trk,est,rpl");
      assert.match(back.text, /ct\(table=11,zone=65535,nat\)|zone=65535/);
      assertRefused(await trace(answer, "trk,new"));
    }
    const other = await trace(`${fromBatch},${tcp("10.0.1.3", "10.96.0.19", 80)}`);
    assertTranslated(other, "10.0.1.1:8080", 1);
  });

  test("the node reaches what it has behind a service itself, and what is on other nodes and outside", async () => {
    for (const [port, server] of [
      [81, "172.18.0.11"],
      [82, "172.18.0.12"],
      [83, "203.0.113.9"],
    ] as const) {
      const id = `shop/host-${port}`;
      await apply([
        service(id, "10.96.0.20", { ports: [port] }),
        backend(id, server, 6443, port === 81 ? "n1" : ""),
      ]);
      const packet = `${fromGateway},${tcp("172.18.0.11", "10.96.0.20", port)}`;
      const opened = await trace(packet, "trk,new", "trk,new", "trk,new");
      assertTranslated(opened, `${server}:6443`, 65528);
      assert.match(opened.text, /zone=65535,nat\(src=169.254.1.2\)/);
    }
    const answer = `${fromGateway},${tcp("172.18.0.12", "169.254.1.2", 40000)}`;
    assert.doesNotMatch((await trace(answer, "trk,est,rpl")).text, /SenderCheck/);
    assertRefused(await trace(`${fromGateway},${tcp("172.18.0.12", "10.0.1.3", 80)}`));
  });

  test("clients outside reach external addresses and node ports, and no address of the cluster", async () => {
    const id = "shop/front";
    const external = service(id, "198.51.100.7", {
      ports: [80],
      scope: "external",
      nodePort: 30080,
    });
    await apply([external, backend(id, "10.0.1.2", 5432, "n2")]);
    const client = "203.0.113.99";
    const [atExternal, atNode] = [
      `${fromGateway},${tcp(client, "198.51.100.7", 80)}`,
      `${fromGateway},${tcp(client, "169.254.1.3", 30080)}`,
    ];
    for (const packet of [atExternal, atNode]) {
      assertTranslated(await trace(packet), "10.0.1.2:5432", tunnel);
    }
    assertDropped(await trace(`${fromGateway},${tcp(client, sql.vip, 15432)}`), "noService");
    assertRefused(await trace(`${fromGateway},${tcp(client, "169.254.1.3", 30081)}`));
    const fromNode = `${fromGateway},${tcp("172.18.0.12", "169.254.1.3", 30080)}`;
    assertTranslated(await trace(fromNode), "10.0.1.2:5432", tunnel);
    // An endpoint's own switch balances all nodes' ports; their other ports are theirs.
    for (const node of ["172.18.0.11", "172.18.0.12"]) {
      const packet = `${fromBatch},${tcp("10.0.1.3", node, 30080)}`;
      assertTranslated(await trace(packet), "10.0.1.2:5432", tunnel);
      assert.doesNotMatch(
        (await trace(`${fromBatch},${tcp("10.0.1.3", node, 22)}`)).text,
        /nat\(dst/,
      );
    }
    await apply([{ ...external, externalPolicy: "Local" }]);
    for (const packet of [atExternal, atNode]) assertDropped(await trace(packet), "noBackend");
    assertTranslated(await trace(fromNode), "10.0.1.2:5432", tunnel);
    const pod = `${fromBatch},${tcp("10.0.1.3", "198.51.100.7", 80)}`;
    assertTranslated(await trace(pod), "10.0.1.2:5432", tunnel);
    await apply([backend(id, "10.0.1.3", 5432, "n1")]);
    for (const packet of [atExternal, atNode]) {
      assertTranslated(await trace(packet), "10.0.1.3:5432", 3);
    }
    const sourceRanges = ["203.0.113.0/28", "10.0.1.3/32"];
    await apply([{ ...external, externalPolicy: "Local", sourceRanges }]);
    assertDropped(await trace(atExternal), "sourceRange");
    const inRange = await trace(`${fromGateway},${tcp("203.0.113.3", "198.51.100.7", 80)}`);
    assert.match(inRange.text, /nat\(dst=10.0.1|group:\d+/);
    assert.match((await trace(pod)).text, /nat\(dst=10.0.1|group:\d+/);
    assertDropped(await trace(`${fromWeb},${tcp("10.0.1.1", "198.51.100.7", 80)}`), "sourceRange");
    assertTranslated(await trace(atNode), "10.0.1.3:5432", 3);
  });

  test("replies go back by the node where the connection came in, and there through the gateway", async () => {
    const entered = await trace(`${fromN2},${tcp("203.0.113.99", "10.0.1.3", 80)}`, "trk,new");
    assert.deepEqual(entered.outputs, [3], entered.text);
    const mark = /mark=0x([0-9a-f]+)\/0xfffff/.exec(entered.text)?.[1] ?? "";
    const own = await trace(`${fromN2},${tcp("172.18.0.11", "10.0.1.1", 8080)}`, "trk,new");
    assertRefused(own);
    const { table } = own.steps.at(-1) ?? {};
    assert.equal(table, "IngressPosture", "another node does not pass for this one");
    const reply = `${fromBatch},${tcp("10.0.1.3", "203.0.113.99", 40000)},ct_mark=0x${mark}`;
    const back = await trace(reply, "trk,est,rpl");
    assert.deepEqual(back.outputs, [tunnel], back.text);
    const plain = await trace(
      `${fromBatch},${tcp("10.0.1.3", "203.0.113.99", 40000)}`,
      "trk,est,rpl",
    );
    assert.deepEqual(plain.outputs, [100], plain.text);
    const atEntry = `${fromN2},${tcp("10.0.1.2", "203.0.113.99", 40000)},ct_mark=0xc0000`;
    assert.deepEqual((await trace(atEntry, "trk,est,rpl")).outputs, [100]);
    assertRefused(await trace(atEntry, "trk,new"));
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
