import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTuple, parseConnection } from "./connection-table.ts";

/** Lines as Open vSwitch 3.1 prints them. */
const samples = [
  {
    line: "tcp,orig=(src=10.9.0.2,dst=10.9.0.1,sport=41234,dport=80),reply=(src=10.9.0.1,dst=10.9.0.2,sport=80,dport=41234),zone=3,labels=0x1100000001,protoinfo=(state=ESTABLISHED)",
    tuple: "ct_nw_src=10.9.0.2,ct_nw_dst=10.9.0.1,ct_nw_proto=6,ct_tp_src=41234,ct_tp_dst=80",
    zone: 3,
    label: 0x11_0000_0001n,
  },
  {
    line: "udp,orig=(src=fd09::2,dst=fd09::1,sport=5353,dport=53),reply=(src=fd09::1,dst=fd09::2,sport=53,dport=5353),zone=1,mark=7,labels=0x1",
    tuple: "ct_ipv6_src=fd09::2,ct_ipv6_dst=fd09::1,ct_nw_proto=17,ct_tp_src=5353,ct_tp_dst=53",
    zone: 1,
    label: 1n,
  },
  {
    line: "icmp,orig=(src=10.9.0.2,dst=10.9.0.1,id=77,type=8,code=0),reply=(src=10.9.0.1,dst=10.9.0.2,id=77,type=0,code=0),zone=3,labels=0x100000000",
    tuple: "ct_nw_src=10.9.0.2,ct_nw_dst=10.9.0.1,ct_nw_proto=1,icmp_type=8,icmp_code=0,icmp_id=77",
    zone: 3,
    label: 1n << 32n,
  },
  {
    line: "tcp,orig=(src=192.0.2.1,dst=192.0.2.2,sport=1,dport=2),reply=(src=192.0.2.2,dst=192.0.2.1,sport=2,dport=1),protoinfo=(state=TIME_WAIT)",
    tuple: "ct_nw_src=192.0.2.1,ct_nw_dst=192.0.2.2,ct_nw_proto=6,ct_tp_src=1,ct_tp_dst=2",
    zone: 0,
    label: 0n,
  },
  {
    line: "47,orig=(src=10.9.0.2,dst=10.9.0.1,sport=0,dport=0),reply=(src=10.9.0.1,dst=10.9.0.2,sport=0,dport=0),zone=3,labels=0x100000001",
    tuple: "ct_nw_src=10.9.0.2,ct_nw_dst=10.9.0.1,ct_nw_proto=47,ct_tp_src=0,ct_tp_dst=0",
    zone: 3,
    label: 0x1_0000_0001n,
  },
];

test("a connection's line is read with zone and label, and names it again when it is to be deleted", () => {
  for (const { line, tuple, zone, label } of samples) {
    const connection = parseConnection(line);
    assert.ok(connection !== undefined, line);
    assert.equal(formatTuple(connection), tuple);
    assert.deepEqual([connection.zone, connection.label], [zone, label]);
  }
});

test("a connection to a virtual address is served by who answers", () => {
  const line =
    "tcp,orig=(src=10.9.0.2,dst=10.96.0.1,sport=41234,dport=80),reply=(src=10.9.0.1,dst=10.9.0.2,sport=8080,dport=41234),zone=3,labels=0x11";
  const connection = parseConnection(line);
  assert.deepEqual(
    [
      connection?.destination,
      connection?.destinationPort,
      connection?.server,
      connection?.serverPort,
    ],
    ["10.96.0.1", 80, "10.9.0.1", 8080],
  );
  assert.match(connection === undefined ? "" : formatTuple(connection), /ct_nw_dst=10\.96\.0\.1,/);
});

test("what is no connection is passed over", () => {
  for (const line of ["", "gre,orig=(src=10.0.0.1,dst=10.0.0.2)", "tcp,orig=()", "nonsense"]) {
    assert.equal(parseConnection(line), undefined, line);
  }
});
