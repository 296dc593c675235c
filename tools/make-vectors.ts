// Records what ovs-ofctl and ovs-vswitchd say to one another, as vectors for the OpenFlow codec's tests: the bytes, what
// ovs-ofctl prints of them, and what the codec makes of them. Run it when the codec learns a message, and read the
// difference: `node tools/make-vectors.ts && npm run fix`.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type Server, type Socket, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Framer } from "../src/openflow/framer.ts";
import { type Message, decodeMessage } from "../src/openflow/message.ts";
import { DecodeError } from "../src/wire/errors.ts";
import { type Vector, encodeVectors } from "../test/openflow-vectors.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";

const run = promisify(execFile);
const version = ["-O", "OpenFlow15"];
const file = join(import.meta.dirname, "../src/openflow/vectors.json");

/** Flows by what they show. */
const flows = [
  "table=0,priority=0 actions=drop",
  "cookie=0x1234,table=1,priority=65535,idle_timeout=10,hard_timeout=20,in_port=1 actions=LOCAL",
  "send_flow_rem,no_byte_counts,importance=7,table=2,tcp,nw_src=10.0.0.0/8,nw_dst=10.1.2.3,tp_src=0x1000/0xf000,tp_dst=80,tcp_flags=+syn-ack actions=output:1,output:2",
  "table=3,udp6,ipv6_src=2001:db8::/32,ipv6_dst=2001:db8::1,ipv6_label=0x12345,tp_dst=53,nw_ttl=64,ip_dscp=10,nw_ecn=2,ip_frag=no actions=dec_ttl,group:7",
  "table=3,sctp,tp_src=1,tp_dst=2 actions=flood",
  "table=4,arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.0/24,arp_sha=0a:00:00:00:00:01,arp_tha=00:00:00:00:00:00/01:00:00:00:00:00 actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:2->arp_op,in_port",
  "table=4,icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=0a:00:00:00:00:02 actions=set_field:136->icmpv6_type,set_field:2->nd_options_type,set_field:0xe0000000->nd_reserved,in_port",
  "table=4,icmp,icmp_type=8,icmp_code=0 actions=controller(userdata=01.02.03,pause,max_len=128,id=3,reason=no_match,meter_id=1)",
  "table=5,dl_vlan=100,dl_vlan_pcp=3,eth_src=0a:00:00:00:00:01,eth_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=pop_vlan,push_vlan:0x8100,set_field:4196->vlan_vid,set_queue:5,NORMAL",
  "table=6,reg0=1,reg1=2,reg2=0x10/0xf0,reg15=5,xxreg3=0x1/0xff,metadata=0x5/0xf,pkt_mark=1 actions=load:0x5->NXM_NX_REG0[0..15],set_field:0x1/0x3->reg1,set_field:7->xreg2,set_field:9->xxreg2,move:NXM_NX_REG1[0..15]->NXM_NX_XXREG1[16..31]",
  "table=7,tun_id=0x64,tun_src=10.0.0.1,tun_dst=10.0.0.2,tun_flags=+oam,tun_gbp_id=5 actions=set_field:0x65->tun_id,set_field:10.0.0.3->tun_dst,output:NXM_NX_REG0[0..15]",
  "table=8,ct_state=+trk+est-inv,ct_zone=5,ct_mark=0x1/0x1,ct_label=0x1/0xff,ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=80,tcp actions=ct(commit,force,zone=NXM_NX_REG1[0..15],alg=ftp,exec(set_field:0x1->ct_mark,move:NXM_NX_REG0[]->NXM_NX_CT_LABEL[0..31]))",
  "table=9,ip actions=ct(table=10,zone=3,nat)",
  "table=9,priority=5,ipv6 actions=ct(commit,zone=3,nat(src=2001:db8::1-2001:db8::9,persistent,hash)),ct_clear",
  "table=9,priority=6,ip actions=ct(commit,nat(dst=10.0.0.1-10.0.0.9:80-90,random))",
  "table=10,conj_id=5,ct_state=+trk,ip actions=resubmit(,11),resubmit(5,12),resubmit(,13,ct),resubmit:6",
  "table=11,ip,nw_src=10.0.0.1 actions=conjunction(5,1/3),conjunction(6,2/2)",
  "table=12 actions=note:01.02.03.04.05.06.07,sample(probability=100,collector_set_id=1,obs_domain_id=2,obs_point_id=3)",
  "table=13 actions=meter:1,set_field:1->reg1,write_metadata:0x5/0xff,goto_table:14",
  "table=14 actions=clear_actions,write_actions(output:1)",
  "table=15 actions=learn(table=16,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),clone(output:1),check_pkt_larger(1500)->reg0[0],exit",
];

/** Commands of ovs-ofctl, with the words before and after the switch's name. */
const commands: readonly (readonly [string, ...string[]])[] = [
  ["add-meter", "meter=1,kbps,burst,stats,band=type=drop,rate=1000,burst_size=100"],
  ["add-meter", "meter=2,pktps,band=type=dscp_remark,rate=10,prec_level=1"],
  [
    "add-group",
    "group_id=7,type=select,bucket=bucket_id=1,weight=10,actions=output:1,bucket=bucket_id=2,weight=20,actions=output:2",
  ],
  [
    "add-group",
    "group_id=8,type=ff,bucket=bucket_id=1,watch_port=1,actions=output:1,bucket=bucket_id=2,watch_group=7,actions=group:7",
  ],
  ["add-group", "group_id=9,type=all,bucket=bucket_id=0,actions=set_field:1->reg0,resubmit(,3)"],
  ["add-group", "group_id=10,type=indirect,bucket=bucket_id=0,actions=output:1"],
  [
    "insert-buckets",
    "group_id=7,command_bucket_id=last,bucket=bucket_id=3,weight=5,actions=output:3",
  ],
  ["remove-buckets", "group_id=7,command_bucket_id=1"],
  ...flows.map((flow): [string, string] => ["add-flow", flow]),
  ["mod-flows", "cookie=0x1/0xff,table=1,in_port=1 actions=drop"],
  ["--strict", "del-flows", "table=1,priority=65535,in_port=1"],
  ["del-flows", "cookie=0x5/-1,out_port=1,out_group=7"],
  ["--bundle", "add-flow", "table=20,priority=1 actions=drop"],
  ["dump-flows"],
  ["dump-flows", "table=3,cookie=0/1,udp6"],
  ["dump-aggregate", "table=3"],
  ["dump-tables"],
  ["dump-groups"],
  ["dump-groups", "7"],
  ["dump-group-stats"],
  ["dump-meters"],
  ["meter-stats"],
  ["dump-ports-desc"],
  ["dump-ports"],
  ["dump-desc"],
  ["show"],
  ["probe"],
  [
    "packet-out",
    "in_port=controller,packet=0a00000000010a00000000020800,actions=set_field:1->reg0,output:1",
  ],
  ["ct-flush-zone", "5"],
  // Refused: in the vectors for the errors.
  ["add-flow", "table=0,actions=group:99"],
  ["add-group", "group_id=7,type=all"],
  ["add-meter", "meter=1,kbps,band=type=drop,rate=1000"],
  ["del-groups"],
  ["del-meters"],
];

interface Recorded {
  readonly from: Vector["from"];
  readonly bytes: Uint8Array;
}

function record(socket: Socket, peer: Socket, from: Vector["from"], to: Recorded[]): void {
  const framer = new Framer();
  socket.on("data", (chunk) => {
    for (const bytes of framer.push(chunk)) to.push({ from, bytes: Uint8Array.from(bytes) });
    peer.write(chunk);
  });
  socket.on("close", () => peer.destroy());
  socket.on("error", () => peer.destroy());
}

async function startProxy(path: string, target: string, to: Recorded[]): Promise<Server> {
  const server = createServer((client) => {
    const peer = connect(target);
    record(client, peer, "ovs-ofctl", to);
    record(peer, client, "ovs-vswitchd", to);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** The transaction ids of a recording are of no interest: the message's becomes 1, and a bundled message's with it. */
function withFixedXid(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  view.setUint32(4, 1);
  if (copy[1] === 34) view.setUint32(20, 1);
  return copy;
}

async function describe(bytes: Uint8Array): Promise<string> {
  const hex = Buffer.from(bytes).toString("hex");
  return (await run("ovs-ofctl", ["ofp-print", hex, "2"])).stdout.trim();
}

/** Runs ovs-ofctl on the proxy; refusals are part of what is recorded. */
async function command(target: string, words: readonly string[]): Promise<void> {
  const name = words.findIndex((word) => !word.startsWith("-"));
  const head = words.slice(0, name + 1);
  const args = [...version, ...head, target, ...words.slice(name + 1)];
  await run("ovs-ofctl", args).catch(() => undefined);
}

/** Packets, a removed flow and a changed port, as a connection sees them that asked for them. */
async function watch(target: string, format: string, rundir: string): Promise<void> {
  const words = [...version, "monitor", target, "65534", "-P", format];
  const monitor = spawn("ovs-ofctl", words, { env: { ...process.env, OVS_RUNDIR: rundir } });
  await sleep(300);
  const data = "0a00000000010a00000000020800";
  const send = `in_port=controller,packet=${data},actions=set_field:5->reg3,controller(userdata=0a.0b)`;
  await command(target, ["packet-out", send]);
  await command(target, [
    "add-flow",
    "send_flow_rem,cookie=0x77,table=30,ip,idle_timeout=60 actions=drop",
  ]);
  await command(target, ["del-flows", "table=30"]);
  await command(target, ["mod-port", "1", "down"]);
  await command(target, ["mod-port", "1", "up"]);
  await sleep(200);
  monitor.kill();
  await once(monitor, "exit");
}

/** ovs-ofctl asks for some statistics that Isobar has no use for. */
function decodeIfSupported(bytes: Uint8Array): Message | undefined {
  try {
    return decodeMessage(bytes).message;
  } catch (error) {
    if (error instanceof DecodeError && error.code === "unsupported") return undefined;
    throw error;
  }
}

async function vectorsOf(recorded: readonly Recorded[]): Promise<Vector[]> {
  const vectors = new Map<string, Vector>();
  for (const { from, bytes } of recorded) {
    const fixed = withFixedXid(bytes);
    const hex = Buffer.from(fixed).toString("hex");
    if (vectors.has(hex)) continue;
    const message = decodeIfSupported(fixed);
    if (message === undefined) continue;
    vectors.set(hex, { from, print: await describe(fixed), hex, message });
  }
  return [...vectors.values()];
}

await using ovs = await OpenVswitch.start();
const bridge = [
  "add-br",
  "br0",
  "--",
  "set",
  "bridge",
  "br0",
  "datapath_type=dummy",
  "fail_mode=secure",
];
const ports = ["p1", "p2", "p3"].flatMap((name, index) => [
  "--",
  "add-port",
  "br0",
  name,
  "--",
  "set",
  "interface",
  name,
  "type=dummy",
  `ofport_request=${index + 1}`,
]);
await run("ovs-vsctl", [`--db=unix:${ovs.databaseSocket}`, ...bridge, ...ports]);
const recorded: Recorded[] = [];
const proxyPath = join(ovs.rundir, "proxy.sock");
const proxy = await startProxy(proxyPath, join(ovs.rundir, "br0.mgmt"), recorded);
const target = `unix:${proxyPath}`;
for (const words of commands) await command(target, words);
await watch(target, "standard", ovs.rundir);
await watch(target, "nxt_packet_in2", ovs.rundir);
proxy.close();
const vectors = await vectorsOf(recorded);
writeFileSync(file, encodeVectors(vectors));
console.log(`${vectors.length} vectors`);
