import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, decode } from "dns-packet";
import { parseAddress, parsePrefix } from "../net/address.ts";
import { Authority, type AuthorityOptions } from "./authority.ts";
import { decodeQuery } from "./query.ts";
import { encodeReply } from "./reply.ts";
import { ServiceZone } from "./service-zone.ts";
import { queryBytes } from "./test-query.ts";
import { rcodes } from "./wire.ts";

const options: AuthorityOptions = {
  zone: "cluster.local",
  networks: [parsePrefix("10.96.0.0/16"), parsePrefix("10.128.0.0/14")],
  serverAddresses: [parseAddress("10.96.0.10"), parseAddress("fd00:10:96::10")],
  ttlSeconds: 5,
  serial: 7,
};

function exampleZone(): ServiceZone {
  const zone = new ServiceZone();
  const domain = "default";
  zone.setService("default/kubernetes", {
    id: "default/kubernetes",
    domain,
    addresses: ["10.96.0.1"],
    ports: [{ name: "https", protocol: "TCP", port: 443 }],
  });
  zone.setService("shop/web", {
    id: "shop/web",
    domain,
    addresses: ["10.96.0.20", "fd00:10:96::20"],
    ports: [
      { name: "http", protocol: "TCP", port: 80 },
      { name: "http3", protocol: "UDP", port: 443 },
    ],
  });
  zone.setService("shop/db", { id: "shop/db", domain, addresses: [], ports: [] });
  const ports = [{ name: "sql", protocol: "TCP", port: 5432 }] as const;
  zone.setHost("shop/db", "0", { address: "10.128.0.5", hostname: "db-0", ports });
  zone.setHost("shop/db", "0 v6", { address: "fd00:10:128::5", hostname: "db-0", ports });
  zone.setHost("shop/db", "1", { address: "10.128.0.6", ports });
  zone.setService("shop/idle", { id: "shop/idle", domain, addresses: [], ports: [] });
  zone.setService("far/bank", {
    id: "far/bank",
    domain,
    addresses: [],
    alias: "api.Bank.example.",
    ports: [],
  });
  zone.setService("far/shop", {
    id: "far/shop",
    domain,
    addresses: [],
    alias: "web.shop.svc.cluster.local",
    ports: [],
  });
  zone.setService("far/circle", {
    id: "far/circle",
    domain,
    addresses: [],
    alias: "circle.far.svc.cluster.local",
    ports: [],
  });
  zone.setEndpoint("shop/web-1", ["10.128.0.9", "fd00:10:128::9"]);
  return zone;
}

interface Seen {
  readonly code: string;
  readonly records: readonly string[];
  readonly soa: boolean;
  readonly additionals: readonly string[];
}

function textOf(answer: Answer): string {
  if (answer.type === "SRV") {
    const { priority = 0, weight = 0, port, target } = answer.data;
    return `${answer.name} SRV ${priority} ${weight} ${port} ${target}`;
  }
  if (answer.type === "HINFO") return `${answer.name} HINFO ${answer.data.cpu}`;
  if (answer.type === "SOA") {
    return `${answer.name} SOA ${answer.data.mname} ${answer.data.serial}`;
  }
  const data =
    answer.type === "TXT"
      ? Buffer.concat([answer.data].flat().map((part) => Buffer.from(part)))
      : "";
  const text = "data" in answer && typeof answer.data === "string" ? answer.data : data.toString();
  return `${answer.name} ${answer.type} ${text}`;
}

const codes = new Map<number, string>([
  [rcodes.noError, "NOERROR"],
  [rcodes.nameError, "NXDOMAIN"],
  [rcodes.serverFailure, "SERVFAIL"],
]);

function ask(zone: ServiceZone, name: string, type: string): Seen | string {
  const query = decodeQuery(queryBytes(name, type));
  assert.ok(query?.kind === "query");
  const verdict = new Authority(zone, options).answer(query.query);
  if (verdict.kind === "elsewhere") return "elsewhere";
  const message = decode(Buffer.from(encodeReply(query.query, verdict.reply, 65_535)));
  assert.ok(((message.flags ?? 0) & 0x0400) !== 0, "not authoritative");
  const found = {
    code: codes.get((message.flags ?? 0) & 0xf) ?? "?",
    records: (message.answers ?? []).map(textOf).toSorted(),
    soa: message.authorities?.[0]?.type === "SOA",
    additionals: (message.additionals ?? []).map(textOf).toSorted(),
  };
  return verdict.kind === "alias" ? { ...found, code: `alias ${verdict.target}` } : found;
}

/** What is asked → code and records. A negative answer has the SOA record, and no other has it. */
const cases: readonly (readonly [question: string, code: string, ...records: string[]])[] = [
  // 2.2
  ["dns-version.cluster.local TXT", "NOERROR", "dns-version.cluster.local TXT 1.1.0"],
  ["dns-version.cluster.local A", "NOERROR"],
  // 2.3.1
  [
    "kubernetes.default.svc.cluster.local A",
    "NOERROR",
    "kubernetes.default.svc.cluster.local A 10.96.0.1",
  ],
  ["kubernetes.default.svc.cluster.local AAAA", "NOERROR"],
  ["web.shop.svc.cluster.local AAAA", "NOERROR", "web.shop.svc.cluster.local AAAA fd00:10:96::20"],
  ["web.shop.svc.cluster.local MX", "NOERROR"],
  ["web.shop.svc.cluster.local TYPE65", "NOERROR"],
  ["nothing.shop.svc.cluster.local A", "NXDOMAIN"],
  ["web.nowhere.svc.cluster.local A", "NXDOMAIN"],
  ["a.web.shop.svc.cluster.local A", "NXDOMAIN"],
  // What is only above other names.
  ["cluster.local A", "NOERROR"],
  ["svc.cluster.local A", "NOERROR"],
  ["pod.cluster.local A", "NOERROR"],
  ["shop.svc.cluster.local A", "NOERROR"],
  ["nowhere.svc.cluster.local A", "NXDOMAIN"],
  ["_tcp.web.shop.svc.cluster.local SRV", "NOERROR"],
  ["_sctp.web.shop.svc.cluster.local SRV", "NXDOMAIN"],
  ["_tcp.db.shop.svc.cluster.local SRV", "NOERROR"],
  // 2.3.2
  [
    "_http._tcp.web.shop.svc.cluster.local SRV",
    "NOERROR",
    "_http._tcp.web.shop.svc.cluster.local SRV 0 100 80 web.shop.svc.cluster.local",
  ],
  [
    "_http3._udp.web.shop.svc.cluster.local SRV",
    "NOERROR",
    "_http3._udp.web.shop.svc.cluster.local SRV 0 100 443 web.shop.svc.cluster.local",
  ],
  ["_http3._tcp.web.shop.svc.cluster.local SRV", "NXDOMAIN"],
  ["_http._tcp.web.shop.svc.cluster.local A", "NOERROR"],
  // 2.3.3
  [
    "1.0.96.10.in-addr.arpa PTR",
    "NOERROR",
    "1.0.96.10.in-addr.arpa PTR kubernetes.default.svc.cluster.local",
  ],
  ["1.0.96.10.in-addr.arpa A", "NOERROR"],
  ["99.0.96.10.in-addr.arpa PTR", "NXDOMAIN"],
  ["0.96.10.in-addr.arpa PTR", "NOERROR"],
  ["1.2.0.192.in-addr.arpa PTR", "elsewhere"],
  ["10.in-addr.arpa NS", "elsewhere"],
  [
    `0.2.0.0.${"0.0.0.0.".repeat(4)}6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa PTR`,
    "NOERROR",
    `0.2.0.0.${"0.0.0.0.".repeat(4)}6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa PTR web.shop.svc.cluster.local`,
  ],
  // 2.4.1
  [
    "db.shop.svc.cluster.local A",
    "NOERROR",
    "db.shop.svc.cluster.local A 10.128.0.5",
    "db.shop.svc.cluster.local A 10.128.0.6",
  ],
  ["db.shop.svc.cluster.local AAAA", "NOERROR", "db.shop.svc.cluster.local AAAA fd00:10:128::5"],
  ["db-0.db.shop.svc.cluster.local A", "NOERROR", "db-0.db.shop.svc.cluster.local A 10.128.0.5"],
  [
    "10-128-0-6.db.shop.svc.cluster.local A",
    "NOERROR",
    "10-128-0-6.db.shop.svc.cluster.local A 10.128.0.6",
  ],
  ["db-7.db.shop.svc.cluster.local A", "NXDOMAIN"],
  ["idle.shop.svc.cluster.local A", "NXDOMAIN"],
  // 2.4.2
  [
    "_sql._tcp.db.shop.svc.cluster.local SRV",
    "NOERROR",
    "_sql._tcp.db.shop.svc.cluster.local SRV 0 50 5432 10-128-0-6.db.shop.svc.cluster.local",
    "_sql._tcp.db.shop.svc.cluster.local SRV 0 50 5432 db-0.db.shop.svc.cluster.local",
  ],
  // 2.4.3
  [
    "5.0.128.10.in-addr.arpa PTR",
    "NOERROR",
    "5.0.128.10.in-addr.arpa PTR db-0.db.shop.svc.cluster.local",
  ],
  // 2.5
  [
    "bank.far.svc.cluster.local A",
    "alias api.bank.example",
    "bank.far.svc.cluster.local CNAME api.bank.example",
  ],
  [
    "bank.far.svc.cluster.local CNAME",
    "NOERROR",
    "bank.far.svc.cluster.local CNAME api.bank.example",
  ],
  [
    "shop.far.svc.cluster.local A",
    "NOERROR",
    "shop.far.svc.cluster.local CNAME web.shop.svc.cluster.local",
    "web.shop.svc.cluster.local A 10.96.0.20",
  ],
  // 2.6
  [
    "10-128-0-9.shop.pod.cluster.local A",
    "NOERROR",
    "10-128-0-9.shop.pod.cluster.local A 10.128.0.9",
  ],
  ["10-128-0-9.shop.pod.cluster.local AAAA", "NOERROR"],
  [
    "fd00-10-128--9.shop.pod.cluster.local AAAA",
    "NOERROR",
    "fd00-10-128--9.shop.pod.cluster.local AAAA fd00:10:128::9",
  ],
  ["10-128-0-9.far.pod.cluster.local A", "NXDOMAIN"],
  ["10-1-1-1.shop.pod.cluster.local A", "NXDOMAIN"],
  ["shop.pod.cluster.local A", "NOERROR"],
  // The zone itself, and everything else.
  ["cluster.local SOA", "NOERROR", "cluster.local SOA ns.dns.cluster.local 7"],
  ["cluster.local NS", "NOERROR", "cluster.local NS ns.dns.cluster.local"],
  ["ns.dns.cluster.local A", "NOERROR", "ns.dns.cluster.local A 10.96.0.10"],
  ["dns.cluster.local A", "NOERROR"],
  ["web.shop.svc.cluster.local ANY", "NOERROR", "web.shop.svc.cluster.local HINFO RFC8482"],
  ["example.com A", "elsewhere"],
  ["mycluster.local A", "elsewhere"],
  ["local SOA", "elsewhere"],
];

test("every record of the specification is there, and what is not there is denied as it should be", () => {
  const zone = exampleZone();
  for (const [question, code, ...records] of cases) {
    const [name = "", type = ""] = question.split(" ");
    const seen = ask(zone, name, type);
    if (typeof seen === "string") {
      assert.equal(seen, code, question);
      continue;
    }
    assert.deepEqual([seen.code, seen.records], [code, records], question);
    assert.equal(seen.soa, records.length === 0 || code === "NXDOMAIN", `SOA of ${question}`);
  }
});

test("names are compared without regard to case, and answered with the client's", () => {
  const query = decodeQuery(queryBytes("wEb.SHOP.svc.Cluster.LOCAL", "A"));
  assert.ok(query?.kind === "query");
  const verdict = new Authority(exampleZone(), options).answer(query.query);
  assert.ok(verdict.kind === "reply");
  const message = decode(Buffer.from(encodeReply(query.query, verdict.reply, 512)));
  assert.equal(message.questions?.[0]?.name, "wEb.SHOP.svc.Cluster.LOCAL");
  assert.equal(message.answers?.[0]?.name, "wEb.SHOP.svc.Cluster.LOCAL");
});

test("addresses of servers go with them", () => {
  const seen = ask(exampleZone(), "_sql._tcp.db.shop.svc.cluster.local", "SRV");
  assert.ok(typeof seen !== "string");
  assert.deepEqual(seen.additionals, [
    "10-128-0-6.db.shop.svc.cluster.local A 10.128.0.6",
    "db-0.db.shop.svc.cluster.local A 10.128.0.5",
    "db-0.db.shop.svc.cluster.local AAAA fd00:10:128::5",
  ]);
});

test("an alias that leads to itself fails instead of going on for ever", () => {
  const seen = ask(exampleZone(), "circle.far.svc.cluster.local", "A");
  assert.ok(typeof seen !== "string");
  assert.equal(seen.code, "SERVFAIL");
});

test("equal records begin at another place each time", () => {
  const zone = exampleZone();
  const authority = new Authority(zone, options);
  const firsts = Array.from({ length: 4 }, () => {
    const verdict = authority.answer({ name: "db.shop.svc.cluster.local", type: 1 });
    assert.ok(verdict.kind === "reply");
    const [first] = verdict.reply.answers;
    return first === undefined ? "" : textOf(first).split(" ").at(-1);
  });
  assert.deepEqual(firsts, ["10.128.0.5", "10.128.0.6", "10.128.0.5", "10.128.0.6"]);
});

test("a zone from which everything is taken holds nothing", () => {
  const zone = exampleZone();
  zone.setService("shop/web", {
    id: "shop/web",
    domain: "default",
    addresses: ["10.96.0.21"],
    ports: [],
  });
  assert.equal(ask(zone, "20.0.96.10.in-addr.arpa", "PTR") === "elsewhere", false);
  assert.deepEqual(zone.namesOf(parseAddress("10.96.0.20")), []);
  assert.deepEqual(zone.namesOf(parseAddress("10.96.0.21")), ["web.shop.svc"]);
  for (const key of ["0", "0 v6", "1"]) zone.setHost("shop/db", key, undefined);
  assert.equal(zone.find(["db", "shop", "svc"]), undefined);
  for (const id of [
    "default/kubernetes",
    "shop/web",
    "shop/db",
    "shop/idle",
    "far/bank",
    "far/shop",
    "far/circle",
  ]) {
    zone.setService(id, undefined);
  }
  zone.setEndpoint("shop/web-1", undefined);
  assert.equal(zone.find(["shop", "svc"]), undefined);
  assert.equal(zone.size, 0);
});

test("hosts that come before their Service count once it is there", () => {
  const zone = new ServiceZone();
  zone.setHost("a/b", "1", { address: "10.0.0.1", hostname: "one", ports: [] });
  assert.equal(zone.find(["b", "a", "svc"]), undefined);
  assert.equal(zone.find(["a", "svc"]), undefined);
  zone.setService("a/b", { id: "a/b", domain: "default", addresses: [], ports: [] });
  assert.deepEqual(zone.find(["one", "b", "a", "svc"])?.kind, "addresses");
  assert.deepEqual(zone.namesOf(parseAddress("10.0.0.1")), ["one.b.a.svc"]);
  zone.setService("a/b", undefined);
  assert.deepEqual(zone.namesOf(parseAddress("10.0.0.1")), []);
  zone.setHost("a/b", "1", undefined);
  assert.equal(zone.size, 0);
});
