import assert from "node:assert/strict";
import { test } from "node:test";
import type { Action, Flow, MatchField } from "./flow.ts";
import { formatAction, formatFlow } from "./format.ts";
import { formatMatch } from "./format-match.ts";

const matches: readonly (readonly [MatchField, string])[] = [
  [{ field: "in_port", value: 1n }, "in_port=1"],
  [{ field: "in_port", value: 0xfffffffen }, "in_port=LOCAL"],
  [{ field: "eth_src", value: 0x0a0000000001n }, "eth_src=0a:00:00:00:00:01"],
  [
    { field: "eth_dst", value: 1n << 40n, mask: 1n << 40n },
    "eth_dst=01:00:00:00:00:00/01:00:00:00:00:00",
  ],
  [{ field: "eth_type", value: 0x800n }, "eth_type=0x800"],
  [{ field: "ip_src", value: 0x0a000000n, mask: 0xff000000n }, "ip_src=10.0.0.0/8"],
  [{ field: "ip_src", value: 1n, mask: 0xffn }, "ip_src=0.0.0.1/0.0.0.255"],
  [{ field: "ip_src", value: 0n, mask: 0n }, "ip_src=0.0.0.0/0"],
  [{ field: "ip_src", value: 1n, mask: 0xffffffffn }, "ip_src=0.0.0.1"],
  [{ field: "ipv6_dst", value: 0x20010db8n << 96n }, "ipv6_dst=2001:db8::"],
  [
    { field: "ipv6_dst", value: 0x20010db8n << 96n, mask: 0xffffffffn << 96n },
    "ipv6_dst=2001:db8::/32",
  ],
  [{ field: "tcp_dst", value: 80n }, "tcp_dst=80"],
  [{ field: "tcp_dst", value: 0x50n, mask: 0xfff0n }, "tcp_dst=0x50/0xfff0"],
  [{ field: "tcp_flags", value: 2n, mask: 0x12n }, "tcp_flags=+syn-ack"],
  [{ field: "ct_state", value: 0x21n, mask: 0x23n }, "ct_state=+new-est+trk"],
  [{ field: "ct_state", value: 0x21n }, "ct_state=0x21"],
  [{ field: "ip_frag", value: 3n }, "ip_frag=later"],
  [{ field: "ip_frag", value: 0n, mask: 1n }, "ip_frag=no"],
  [{ field: "reg0", value: 0n }, "reg0=0"],
  [{ field: "reg0", value: 16n, mask: 0xf0n }, "reg0=0x10/0xf0"],
  [{ field: "oxm:80007c04", value: 5n, mask: 7n }, "oxm:80007c04=0x5/0x7"],
];

for (const [entry, text] of matches) {
  test(`a match is written ${text}`, () => assert.equal(formatMatch([entry]), text));
}

const reg = { field: "reg1", offset: 0, bits: 32 } as const;

const actions: readonly (readonly [Action, string])[] = [
  [{ kind: "output", port: 5 }, "output:5"],
  [{ kind: "output", port: 0xfffffffd, maxLength: 9 }, "CONTROLLER:9"],
  [{ kind: "output-field", from: { ...reg, bits: 16 } }, "output:reg1[0..15]"],
  [{ kind: "output-field", from: { ...reg, offset: 3, bits: 1 } }, "output:reg1[3]"],
  [{ kind: "move", from: reg, to: { ...reg, field: "reg2" } }, "move:reg1[]->reg2[]"],
  [{ kind: "resubmit", table: 4 }, "resubmit(,4)"],
  [{ kind: "resubmit", table: 255, port: 3 }, "resubmit(3,)"],
  [{ kind: "resubmit", table: 4, ct: true }, "resubmit(,4,ct)"],
  [{ kind: "set-field", field: "reg0", value: 1n, mask: 3n }, "set_field:0x1/0x3->reg0"],
  [{ kind: "ct", zone: 5 }, "ct(zone=5)"],
  [{ kind: "ct", zone: reg, commit: true, alg: 21, nat: {} }, "ct(commit,zone=reg1[],alg=ftp,nat)"],
  [
    {
      kind: "ct",
      zone: 5,
      commit: true,
      nat: { type: "src", addressMin: "2001:db8::1", portMin: 80 },
      exec: [{ kind: "set-field", field: "ct_mark", value: 1n }],
    },
    "ct(commit,zone=5,nat(src=[2001:db8::1]:80),exec(set_field:0x1->ct_mark))",
  ],
  [{ kind: "conjunction", id: 7, clause: 1, clauses: 3 }, "conjunction(7,1/3)"],
  [
    { kind: "controller", reason: 0, userdata: Uint8Array.of(1, 2), pause: true, meter: 5 },
    "controller(reason=no_match,max_len=65535,userdata=01.02,pause,meter_id=5)",
  ],
  [
    { kind: "controller", reason: 99, maxLength: 8, controllerId: 3 },
    "controller(reason=99,max_len=8,id=3)",
  ],
  [{ kind: "group", group: 7 }, "group:7"],
  [{ kind: "ct-clear" }, "ct_clear"],
  [{ kind: "push-vlan", etherType: 0x8100 }, "push_vlan:0x8100"],
  [{ kind: "pop-vlan" }, "pop_vlan"],
  [{ kind: "set-queue", queue: 5 }, "set_queue:5"],
  [
    { kind: "sample", probability: 1, collectorSet: 2, domain: 3, point: 4 },
    "sample(probability=1,collector_set_id=2,obs_domain_id=3,obs_point_id=4)",
  ],
  [{ kind: "note", bytes: Uint8Array.of(1, 0xab) }, "note:01.ab"],
  [{ kind: "unknown", type: 11, bytes: Uint8Array.of(1) }, "unknown(type=11,01)"],
];

for (const [action, text] of actions) {
  test(`an action is written ${text}`, () => assert.equal(formatAction(action), text));
}

test("a flow is one line with its fields in the order of their prerequisites", () => {
  const flow: Flow = {
    table: 3,
    priority: 5,
    cookie: 0x12n,
    idleTimeoutSeconds: 10,
    match: [
      { field: "ip_proto", value: 6n },
      { field: "eth_type", value: 0x800n },
    ],
    meter: 2,
    actions: [{ kind: "dec-ttl" }],
    gotoTable: 4,
  };
  assert.equal(
    formatFlow(flow),
    "cookie=0x12,table=3,priority=5,idle_timeout=10,eth_type=0x800,ip_proto=6 actions=meter:2,dec_ttl,goto_table:4",
  );
  const drop: Flow = { table: 0, priority: 0, cookie: 0n, match: [], actions: [] };
  assert.equal(formatFlow(drop), "table=0,priority=0 actions=drop");
});
