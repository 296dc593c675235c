// What the flows of one node do with packets that no policy is about: forged ones, address resolution, replies, tunnels.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Refusal, decodeCookie, decodeLabel, refusals } from "../../src/pipeline/cookie.ts";
import { LocalNumbers } from "../../src/pipeline/numbers.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { type TableName, tableNames, tables } from "../../src/pipeline/tables.ts";
import type { ResourceKey } from "../../src/southbound/resources.ts";
import { exampleDelta, examplePipeline } from "../../tools/pipeline-example.ts";
import { OpenVswitch } from "./open-vswitch.ts";
import { type Trace, TracedBridge } from "./traced-bridge.ts";

const router = "0a:15:0b:a2:00:01";
const inPort = 65528;
const web = { port: 1, mac: "0a:00:00:00:00:01", v4: "10.0.1.1", v6: "fd00:0:0:1::1" } as const;
const db = { mac: "0a:00:00:00:00:02", v4: "10.0.1.2", v6: "fd00:0:0:1::2" } as const;
const batch = { port: 3, mac: "0a:00:00:00:00:03", v4: "10.0.1.3", v6: "fd00:0:0:1::3" } as const;
const gateway = { port: 100, mac: "0a:00:00:00:ff:01" } as const;
const tunnel = 200;

const fromWeb = `in_port=1,dl_src=${web.mac},dl_dst=${router}`;
const fromBatch = `in_port=3,dl_src=${batch.mac},dl_dst=${router}`;
const fromGateway = `in_port=100,dl_src=${gateway.mac},dl_dst=${router}`;
const fromN2 = `in_port=200,tun_src=172.18.0.12,tun_id=77,dl_src=${router},dl_dst=${router}`;

function tcp(source: string, destination: string, port: number): string {
  const v6 = source.includes(":");
  const prefix = v6 ? "ipv6" : "nw";
  const ends = `${prefix}_src=${source},${prefix}_dst=${destination}`;
  return `${v6 ? "tcp6" : "tcp"},${ends},nw_ttl=64,tcp_dst=${port}`;
}

function assertOutput(trace: Trace, port: number): void {
  assert.deepEqual(trace.outputs, [port], trace.text);
}

/** Dropped because nothing in the table matched. */
function assertMissed(trace: Trace, table: TableName): void {
  assert.deepEqual(trace.outputs, [], trace.text);
  const last = trace.steps.at(-1);
  assert.equal(last?.table, table, trace.text);
  assert.deepEqual(last.cookie?.feature, "miss", trace.text);
  assert.equal(last.cookie.number, tables[table].number, trace.text);
}

function assertRefused(trace: Trace, reason: Refusal): void {
  assert.deepEqual(trace.outputs, [], trace.text);
  const cookie = trace.steps.at(-1)?.cookie;
  assert.equal(cookie?.feature, "refusal", trace.text);
  assert.equal(cookie.number, refusals[reason], trace.text);
}

function tablesOf(trace: Trace): readonly (TableName | undefined)[] {
  return trace.steps.map(({ table }) => table);
}

describe("the pipeline on a switch", () => {
  let ovs: OpenVswitch;
  let bridge: TracedBridge;
  let pipeline: Pipeline;

  const trace = async (packet: string, ...state: readonly string[]): Promise<Trace> =>
    await bridge.trace(packet, ...(state.length === 0 ? ["trk,new"] : state));

  before(async () => {
    ovs = await OpenVswitch.start();
    const plain = [web.port, batch.port, gateway.port, 9];
    bridge = await TracedBridge.create(ovs, "n1", { plain, tunnel, udpPort: 4789 });
    pipeline = examplePipeline();
    await bridge.change({ upserts: [...pipeline.flows()], deletes: [] });
  });

  after(async () => {
    await bridge[Symbol.asyncDispose]();
    await ovs[Symbol.asyncDispose]();
  });

  test("holds exactly the flows that were asked for", async () => {
    const counts = await bridge.countFlows();
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    assert.equal(total, pipeline.length);
  });

  describe("guards its ports", () => {
    test("and drops what comes from a port that nobody has", async () => {
      const packet = `in_port=9,dl_src=${web.mac},dl_dst=${router},${tcp(web.v4, batch.v4, 80)}`;
      assertMissed(await trace(packet), "Classify");
    });

    for (const [what, packet] of [
      ["the IPv4 address of another", `${fromBatch},${tcp(web.v4, db.v4, 80)}`],
      ["the IPv6 address of another", `${fromBatch},${tcp(web.v6, db.v6, 80)}`],
      ["an IPv4 address outside", `${fromBatch},${tcp("203.0.113.1", db.v4, 80)}`],
      ["an IPv6 address outside", `${fromBatch},${tcp("2001:db8::1", db.v6, 80)}`],
      [
        "an unknown MAC",
        `in_port=3,dl_src=0a:00:00:00:00:99,dl_dst=${router},${tcp(batch.v4, db.v4, 80)}`,
      ],
      [
        "the MAC of another",
        `in_port=3,dl_src=${web.mac},dl_dst=${router},${tcp(batch.v4, db.v4, 80)}`,
      ],
      [
        "an unknown MAC of the gateway",
        `in_port=100,dl_src=${web.mac},dl_dst=${router},${tcp("172.18.0.11", web.v4, 80)}`,
      ],
      ["another EtherType", `in_port=3,dl_src=${batch.mac},dl_dst=${router},dl_type=0x88cc`],
    ] as const) {
      test(`and drops ${what}`, async () => {
        assertMissed(await trace(packet), "SpoofGuard");
      });
    }

    for (const [what, destination] of [
      ["a neighbour's MAC", db.mac],
      ["broadcast", "ff:ff:ff:ff:ff:ff"],
      ["multicast", "01:00:5e:00:00:fb"],
    ] as const) {
      test(`and drops what is sent to ${what}`, async () => {
        const packet = `in_port=3,dl_src=${batch.mac},dl_dst=${destination},${tcp(batch.v4, db.v4, 80)}`;
        assertMissed(await trace(packet), "Neighbour");
      });
    }

    test("and drops packets with a VLAN tag", async () => {
      const packet = `${fromBatch},${tcp(batch.v4, db.v4, 80)},dl_vlan=5`;
      assertRefused(await trace(packet), "vlanTag");
    });

    test("and drops DHCP", async () => {
      const packet = `in_port=3,dl_src=${batch.mac},dl_dst=ff:ff:ff:ff:ff:ff,udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67`;
      assertMissed(await trace(packet), "SpoofGuard");
    });
  });

  describe("answers address resolution", () => {
    const ask = (spa: string, tpa: string, sha: string = web.mac): string =>
      `in_port=1,dl_src=${web.mac},dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_spa=${spa},arp_tpa=${tpa},arp_sha=${sha}`;

    for (const target of [db.v4, "169.254.1.1", "203.0.113.9"]) {
      test(`for ${target} with the router's MAC`, async () => {
        const answer = await trace(ask(web.v4, target));
        assertOutput(answer, inPort);
        for (const part of [
          `dl_src=${router},dl_dst=${web.mac}`,
          `arp_spa=${target},arp_tpa=${web.v4},arp_op=2,arp_sha=${router},arp_tha=${web.mac}`,
        ]) {
          assert.ok(answer.final.includes(part), answer.final);
        }
      });
    }

    test("of the node as well", async () => {
      const packet = `in_port=100,dl_src=${gateway.mac},dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_op=1,arp_spa=172.18.0.11,arp_tpa=${web.v4},arp_sha=${gateway.mac}`;
      assertOutput(await trace(packet), inPort);
    });

    for (const [what, packet] of [
      ["from the address of another", ask(db.v4, "169.254.1.1")],
      ["from the MAC of another", ask(web.v4, "169.254.1.1", db.mac)],
    ] as const) {
      test(`but not ${what}`, async () => {
        assertMissed(await trace(packet), "SpoofGuard");
      });
    }

    test("but not a probe or an announcement of the asker's own address", async () => {
      for (const packet of [ask(web.v4, web.v4), ask("0.0.0.0", web.v4)]) {
        assert.deepEqual((await trace(packet)).outputs, []);
      }
    });

    test("and drops ARP answers", async () => {
      assertRefused(
        await trace(ask(web.v4, db.v4).replace("arp_op=1", "arp_op=2")),
        "neighbourMessage",
      );
    });

    const solicit = (source: string, target: string, more: string): string =>
      `in_port=1,dl_src=${web.mac},dl_dst=33:33:ff:00:00:01,icmp6,icmpv6_type=135,icmpv6_code=0,nw_ttl=255,` +
      `ipv6_src=${source},ipv6_dst=ff02::1:ff00:1,nd_target=${target}${more}`;
    const option = `,nd_options_type=1,nd_sll=${web.mac}`;

    for (const [source, target] of [
      [web.v6, db.v6],
      [web.v6, "fe80::1"],
      ["fe80::800:ff:fe00:1", "fe80::1"],
    ] as const) {
      test(`for ${target}, asked by ${source}`, async () => {
        const answer = await trace(solicit(source, target, option));
        assertOutput(answer, inPort);
        for (const part of [
          `dl_src=${router},dl_dst=${web.mac}`,
          `ipv6_src=${target},ipv6_dst=${source}`,
          "nw_ttl=255",
          "icmp_type=136,icmp_code=0",
          `nd_target=${target}`,
          `nd_tll=${router}`,
        ]) {
          assert.ok(answer.final.includes(part), answer.final);
        }
        assert.match(answer.text, /set\(nd_ext\(nd_reserved=0xe0000000,nd_options_type=2\)\)/);
      });
    }

    test("but not duplicate address detection", async () => {
      const packet = solicit("::", web.v6, option);
      assertRefused(await trace(packet), "neighbourMessage");
    });

    test("but not a solicitation with the option of another MAC", async () => {
      const forged = `,nd_options_type=1,nd_sll=${db.mac}`;
      assertMissed(await trace(solicit("fe80::1:1", db.v6, forged)), "SpoofGuard");
    });

    test("but not a solicitation that a router has forwarded", async () => {
      const packet = solicit(web.v6, db.v6, option).replace("nw_ttl=255", "nw_ttl=254");
      assertRefused(await trace(packet), "neighbourMessage");
    });

    for (const type of [133, 134, 136, 137]) {
      test(`and drops ICMPv6 type ${type}`, async () => {
        const packet = `${fromWeb},icmp6,icmpv6_type=${type},ipv6_src=${web.v6},ipv6_dst=${batch.v6},nw_ttl=255`;
        assertRefused(await trace(packet), "neighbourMessage");
      });
    }
  });

  describe("knows connections", () => {
    const reply = `${fromWeb},${tcp(web.v4, batch.v4, 40000)}`;
    const policyTables = tableNames.filter((name) => /^(Egress|Ingress|Source|Commit)/.test(name));

    for (const state of ["trk,est,rpl", "trk,est", "trk,rel", "trk,rel,rpl"]) {
      test(`and lets ${state} pass without asking policies`, async () => {
        const passed = await trace(reply, state);
        assertOutput(passed, batch.port);
        assert.deepEqual(
          tablesOf(passed).filter((table) => table && policyTables.includes(table)),
          [],
        );
      });
    }

    test("and drops the same packet when it opens a connection", async () => {
      assert.deepEqual((await trace(reply)).outputs, []);
    });

    test("and drops invalid packets", async () => {
      assertRefused(await trace(reply, "trk,inv"), "invalidState");
    });

    test("and asks policies about SCTP on every port, as user space tracks it without ports", async () => {
      const sctp = `${fromBatch},sctp,nw_src=${batch.v4},nw_dst=${web.v4},nw_ttl=64,sctp_dst=99`;
      assert.deepEqual((await trace(sctp, "trk,est")).outputs, []);
      assertOutput(await trace(sctp, "trk,est,rpl"), web.port);
    });

    test("and lets later fragments pass with the ports that are allowed", async () => {
      const later = `${fromBatch},ip,nw_proto=6,nw_src=${batch.v4},nw_dst=${web.v4},nw_ttl=64,nw_frag=later`;
      assertOutput(await trace(later), web.port);
      const denied = `${fromWeb},ip,nw_proto=6,nw_src=${web.v4},nw_dst=${batch.v4},nw_ttl=64,nw_frag=later`;
      assert.deepEqual((await trace(denied)).outputs, []);
    });

    test("and asks policies about related connections that are new", async () => {
      assert.deepEqual((await trace(reply, "trk,new,rel")).outputs, []);
    });

    test("but from no other place than where their ends are", async () => {
      for (const state of ["trk,est", "trk,est,rpl", "trk,rel"]) {
        for (const source of [web.v4, db.v4, "10.0.9.9"]) {
          const forged = `${fromGateway},${tcp(source, batch.v4, 40000)}`;
          assertMissed(await trace(forged, state), "SenderCheck");
        }
        const forged = `${fromN2},${tcp(web.v4, batch.v4, 40000)}`;
        assertMissed(await trace(forged, state), "SenderCheck");
        // Nor from a client outside, but on a connection that it has opened at another node.
        const outside = `${fromN2},${tcp("203.0.113.1", batch.v4, 40000)}`;
        assertMissed(await trace(outside, state), "ConntrackState");
      }
      const answer = `${fromGateway},${tcp("203.0.113.9", batch.v4, 40000)}`;
      assertOutput(await trace(answer, "trk,est,rpl"), batch.port);
    });

    test("and lets replies pass through the tunnel and the gateway", async () => {
      assertOutput(await trace(`${fromWeb},${tcp(web.v6, db.v6, 4000)}`, "trk,est,rpl"), tunnel);
      assertOutput(await trace(`${fromN2},${tcp(db.v6, web.v6, 4000)}`, "trk,est,rpl"), web.port);
      assertOutput(
        await trace(`${fromWeb},${tcp(web.v4, "203.0.113.9", 4000)}`, "trk,est,rpl"),
        100,
      );
    });
  });

  describe("knows who may send through a tunnel", () => {
    const toBatch = tcp(db.v4, batch.v4, 80);

    test("and takes packets of the node where their source is", async () => {
      assertOutput(await trace(`${fromN2},${toBatch}`), batch.port);
    });

    test("and takes packets of the other node itself", async () => {
      assertOutput(await trace(`${fromN2},${tcp("172.18.0.12", batch.v4, 80)}`), batch.port);
    });

    test("but none of an unknown peer", async () => {
      const packet = `${fromN2},${toBatch}`.replace("172.18.0.12", "172.18.0.66");
      assertMissed(await trace(packet), "Classify");
    });

    test("but none of itself", async () => {
      const packet = `${fromN2},${toBatch}`.replace("172.18.0.12", "172.18.0.11");
      assertMissed(await trace(packet), "Classify");
    });

    test("but none of an unknown domain", async () => {
      assertMissed(
        await trace(`${fromN2},${toBatch}`.replace("tun_id=77", "tun_id=78")),
        "TunnelDomain",
      );
    });

    test("but none that comes from another node than its source is on", async () => {
      const third = { kind: "node", id: "n3", addresses: ["172.18.0.13"] } as const;
      await bridge.change(pipeline.apply({ upserts: [third], deletes: [] }));
      const fromN3 = fromN2.replace("172.18.0.12", "172.18.0.13");
      assertOutput(await trace(`${fromN3},${tcp("172.18.0.13", batch.v4, 80)}`), batch.port);
      assertMissed(await trace(`${fromN3},${toBatch}`), "SenderCheck");
      // A node that uses a service by way of another one: known as a node, and answered by the same way.
      assertOutput(await trace(`${fromN2},${tcp("172.18.0.13", batch.v4, 80)}`), batch.port);
      await bridge.change(pipeline.apply({ upserts: [], deletes: [third] }));
    });

    for (const [what, source] of [
      ["of this node", web.v4],
      ["that nobody has", "10.0.9.9"],
    ] as const) {
      test(`but none from an address ${what}`, async () => {
        assertMissed(await trace(`${fromN2},${tcp(source, batch.v4, 80)}`), "SenderCheck");
      });
    }

    test("and takes clients from outside the overlay to endpoints, but not to the node", async () => {
      for (const source of ["203.0.113.1", "172.18.0.11"]) {
        assertOutput(await trace(`${fromN2},${tcp(source, batch.v4, 80)}`), batch.port);
        assertRefused(await trace(`${fromN2},${tcp(source, "172.18.0.11", 80)}`), "noEndpoint");
      }
    });

    test("but no transit to another node or outside", async () => {
      for (const destination of ["172.18.0.12", "203.0.113.1"]) {
        for (const state of ["trk,new", "trk,est"]) {
          assertMissed(await trace(`${fromN2},${tcp(db.v4, destination, 80)}`, state), "Route");
        }
      }
    });

    test("but no ARP and nothing that is not for the router", async () => {
      const arp = `in_port=200,tun_src=172.18.0.12,tun_id=77,dl_src=${router},dl_dst=${router},arp,arp_op=1,arp_spa=${db.v4},arp_tpa=${web.v4}`;
      assertMissed(await trace(arp), "SpoofGuard");
      const other = `${fromN2},${toBatch}`.replace(`dl_dst=${router}`, `dl_dst=${batch.mac}`);
      assertMissed(await trace(other), "SpoofGuard");
    });
  });

  describe("routes", () => {
    test("to an endpoint here, with the MACs of both and one hop less", async () => {
      const routed = await trace(`${fromGateway},${tcp("203.0.113.1", batch.v4, 80)}`);
      assertOutput(routed, batch.port);
      assert.ok(routed.final.includes(`dl_src=${router},dl_dst=${batch.mac}`), routed.final);
      assert.ok(routed.final.includes("nw_ttl=63"), routed.final);
    });

    test("to an endpoint elsewhere, with its node's address and the domain's VNI", async () => {
      const routed = await trace(`${fromBatch},${tcp(batch.v6, db.v6, 80)}`);
      assertOutput(routed, tunnel);
      assert.ok(routed.final.includes("tun_dst=172.18.0.12"), routed.final);
      assert.ok(routed.final.includes(`dl_src=${router},dl_dst=${router}`), routed.final);
      assert.match(routed.text, /set_field:0x4d->tun_id/);
    });

    test("to the node and outside by the gateway", async () => {
      for (const destination of ["172.18.0.11", "203.0.113.1"]) {
        const routed = await trace(`${fromBatch},${tcp(batch.v4, destination, 80)}`);
        assertOutput(routed, gateway.port);
        assert.ok(routed.final.includes(`dl_dst=${gateway.mac}`), routed.final);
      }
    });

    test("from the node to its endpoints past their policies, and says so", async () => {
      const routed = await trace(`${fromGateway},${tcp("172.18.0.11", web.v4, 12345)}`);
      assertOutput(routed, web.port);
      assert.deepEqual(decodeLabel(routed.label ?? 0n), {
        egress: { kind: "notHere" },
        ingress: { kind: "ownNode" },
      });
    });

    test("nothing to an address of the pools that nobody has", async () => {
      for (const state of ["trk,new", "trk,est"]) {
        assertRefused(
          await trace(`${fromBatch},${tcp(batch.v4, "10.0.9.9", 80)}`, state),
          "noEndpoint",
        );
        assertRefused(
          await trace(`${fromBatch},${tcp(batch.v6, "fd00:0:0:9::9", 80)}`, state),
          "noEndpoint",
        );
      }
    });

    for (const destination of ["127.0.0.1", "224.0.0.251", "255.255.255.255", "0.0.0.1"]) {
      test(`nothing to ${destination}`, async () => {
        assertRefused(await trace(`${fromBatch},${tcp(batch.v4, destination, 80)}`), "unroutable");
      });
    }

    for (const destination of ["::1", "fe80::1", "ff02::1"]) {
      test(`nothing to ${destination}`, async () => {
        assertRefused(await trace(`${fromBatch},${tcp(batch.v6, destination, 80)}`), "unroutable");
      });
    }

    test("nothing from the gateway with an address of the pools", async () => {
      for (const source of [web.v4, db.v4, "10.0.9.9", "127.0.0.1"]) {
        assertMissed(await trace(`${fromGateway},${tcp(source, batch.v4, 80)}`), "SenderCheck");
      }
    });

    test("nothing from the gateway back out of it", async () => {
      assertMissed(await trace(`${fromGateway},${tcp("172.18.0.11", "203.0.113.1", 80)}`), "Route");
    });

    test("nothing whose hops are used up", async () => {
      const packet = `${fromBatch},${tcp(batch.v4, db.v4, 80)}`.replace("nw_ttl=64", "nw_ttl=1");
      assert.deepEqual((await trace(packet)).outputs, []);
    });
  });

  test("a rule's ports end where they end", async () => {
    for (const [port, outputs] of [
      [8079, []],
      [8080, [web.port]],
      [8083, [web.port]],
      [8084, []],
    ] as const) {
      const packet = `${fromBatch},${tcp(batch.v6, web.v6, port)}`;
      assert.deepEqual((await trace(packet)).outputs, outputs, String(port));
    }
  });

  test("a direction without policies is open beside one with policies", async () => {
    const open = { kind: "posture", id: "web", egress: [], ingress: ["p"] } as const;
    await bridge.change(pipeline.apply({ upserts: [open], deletes: [] }));
    assertOutput(await trace(`${fromWeb},${tcp(web.v4, batch.v4, 1)}`), batch.port);
    assert.deepEqual((await trace(`${fromBatch},${tcp(batch.v4, web.v4, 1)}`)).outputs, []);
    await bridge.change(pipeline.apply(exampleDelta));
  });

  test("a network that the source is in says nothing about the destination", async () => {
    const pods = {
      kind: "group",
      id: "app=db",
      identities: [],
      networks: [{ cidr: "10.0.1.0/24", except: [] }],
    } as const;
    await bridge.change(pipeline.apply({ upserts: [pods], deletes: [] }));
    assertOutput(await trace(`${fromWeb},${tcp(web.v4, batch.v4, 5432)}`), batch.port);
    assert.deepEqual((await trace(`${fromWeb},${tcp(web.v4, "203.0.113.1", 5432)}`)).outputs, []);
    await bridge.change(pipeline.apply(exampleDelta));
  });

  test("every table ends with a flow that drops and is counted, or goes on as declared", async () => {
    const unused = await trace(`${fromBatch},${tcp(batch.v4, db.v4, 80)}`, "trk");
    assertMissed(unused, "ConntrackState");
    const flows = [...pipeline.flows()];
    for (const name of tableNames) {
      const table = tables[name];
      const last = flows.find(({ priority, table: at }) => at === table.number && priority === 0);
      const expected = table.miss !== "return" && !("reserved" in table);
      assert.equal(last !== undefined, expected, name);
      if (last === undefined) continue;
      assert.deepEqual(last.match, [], name);
      const drops = last.actions.length === 0 && last.gotoTable === undefined;
      assert.equal(drops, table.miss === "drop", name);
      assert.equal(decodeCookie(last.cookie)?.feature === "miss", drops, name);
    }
  });

  describe("keeps a port closed", () => {
    const open = { state: ["trk,est"], packet: `${fromBatch},${tcp(batch.v4, web.v4, 80)}` };
    const arrive = { state: ["trk,est"], packet: `${fromWeb},${tcp(web.v4, batch.v4, 80)}` };

    const without: readonly (readonly [string, ResourceKey])[] = [
      ["its posture", { kind: "posture", id: "batch" }],
      ["its domain", { kind: "domain", id: "default" }],
      ["its endpoint", { kind: "endpoint", id: "shop/batch" }],
    ];
    for (const [what, key] of without) {
      test(`both ways without ${what}, and opens it when that comes`, async () => {
        await bridge.change(pipeline.apply({ upserts: [], deletes: [key] }));
        assertMissed(await trace(open.packet, ...open.state), "Classify");
        assert.deepEqual((await trace(arrive.packet, ...arrive.state)).outputs, []);
        await bridge.change(pipeline.apply(exampleDelta));
        assertOutput(await trace(open.packet, ...open.state), web.port);
        assertOutput(await trace(arrive.packet, ...arrive.state), batch.port);
      });
    }

    test("while another endpoint claims the same address", async () => {
      const thief = exampleDelta.upserts.find((each) => each.id === "shop/db");
      assert.ok(thief?.kind === "endpoint");
      const claim = { ...thief, id: "shop/thief", addresses: [batch.v4] };
      await bridge.change(pipeline.apply({ upserts: [claim], deletes: [] }));
      assert.equal(pipeline.problems().length, 2);
      assertRefused(await trace(arrive.packet, ...arrive.state), "noEndpoint");
      await bridge.change(
        pipeline.apply({ upserts: [], deletes: [{ kind: "endpoint", id: "shop/thief" }] }),
      );
      assert.deepEqual(pipeline.problems(), []);
      assertOutput(await trace(arrive.packet, ...arrive.state), batch.port);
    });

    test("between nodes while another domain claims the same VNI, and no longer", async () => {
      const other = { kind: "domain", id: "other", vni: 77, pools: ["10.99.0.0/16"] } as const;
      const incoming = `${fromN2},${tcp(db.v4, batch.v4, 80)}`;
      const outgoing = `${fromBatch},${tcp(batch.v6, db.v6, 80)}`;
      assertOutput(await trace(incoming), batch.port);
      assertOutput(await trace(outgoing), tunnel);
      await bridge.change(pipeline.apply({ upserts: [other], deletes: [] }));
      assert.deepEqual(
        pipeline.problems().map(({ message }) => message),
        ["VNI 77 belongs to several domains", "VNI 77 belongs to several domains"],
      );
      assertMissed(await trace(incoming), "TunnelDomain");
      assertMissed(await trace(outgoing), "Output");
      assertOutput(await trace(open.packet, ...open.state), web.port);
      await bridge.change(
        pipeline.apply({ upserts: [], deletes: [{ kind: "domain", id: "other" }] }),
      );
      assert.deepEqual(pipeline.problems(), []);
      assertOutput(await trace(incoming), batch.port);
      assertOutput(await trace(outgoing), tunnel);
    });

    test("when nothing is known at all", async () => {
      const empty = new Pipeline({ node: "n1", numbers: new LocalNumbers() });
      const counts = empty.apply({ upserts: [], deletes: [] });
      await bridge.change({ upserts: [], deletes: [...pipeline.flows()] });
      await bridge.change(counts);
      for (const packet of [open.packet, arrive.packet, `${fromN2},${tcp(db.v4, web.v4, 80)}`]) {
        assertMissed(await trace(packet, "trk,est"), "Classify");
      }
      pipeline = examplePipeline();
      await bridge.change({ upserts: [...pipeline.flows()], deletes: [] });
    });
  });
});
