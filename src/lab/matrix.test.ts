import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { resolvePods } from "./ends.ts";
import { declaredPorts, endsOf, parsePort, probesBetween, renderMatrix } from "./matrix.ts";
import type { ProbeResult } from "./protocol.ts";

const pod = (name: string, ports: object[], phase = "Running", owner?: string) => ({
  kind: "Pod",
  metadata: {
    namespace: "shop",
    name,
    ...(owner === undefined ? {} : { ownerReferences: [{ kind: "Deployment", name: owner }] }),
  },
  spec: { containers: [{ ports }] },
  status: { phase },
});

describe("ports", () => {
  test("are read as protocol and number, and nothing else is", () => {
    assert.deepEqual(parsePort("tcp/80"), { protocol: "tcp", port: 80 });
    assert.deepEqual(parsePort("UDP/53"), { protocol: "udp", port: 53 });
    for (const text of ["80", "tcp/0", "tcp/65536", "icmp/1", "tcp/", "tcp/80/x"]) {
      assert.equal(parsePort(text), undefined, text);
    }
  });

  test("declared twice count once, and TCP is meant where nothing is said", () => {
    const ports = [{ containerPort: 80 }, { containerPort: 80, protocol: "TCP" }];
    const all = [...ports, { containerPort: 80, protocol: "UDP" }];
    assert.deepEqual(declaredPorts(pod("a", all)), [
      { protocol: "tcp", port: 80 },
      { protocol: "udp", port: 80 },
    ]);
  });
});

describe("probesBetween", () => {
  const hosts = [
    { name: "bank", addresses: ["192.0.2.10"], ports: ["tcp/443"] },
    { name: "office", addresses: ["203.0.113.10"], ports: ["tcp/80"] },
  ];

  test("goes from every end to every port of every other, but not between external hosts", () => {
    const pods = [pod("a", [{ containerPort: 1 }]), pod("b", [], "Pending")];
    const ends = endsOf(pods, hosts);
    assert.deepEqual(
      probesBetween(ends, ends, 4).map(({ from, to, port }) => `${from} ${to} ${port}`),
      ["shop/a bank 443", "shop/a office 80", "bank shop/a 1", "office shop/a 1"],
    );
  });
});

describe("resolvePods", () => {
  const pods = [
    pod("web-x", [], "Running", "web"),
    pod("web-y", [], "Running", "web"),
    pod("db", []),
  ];

  test("finds a pod, a Deployment's pods, or a namespace's", () => {
    assert.deepEqual(resolvePods(pods, "shop/db"), ["shop/db"]);
    assert.deepEqual(resolvePods(pods, "shop/web"), ["shop/web-x", "shop/web-y"]);
    assert.deepEqual(resolvePods(pods, "shop"), ["shop/db", "shop/web-x", "shop/web-y"]);
    assert.deepEqual(resolvePods(pods, "shop/we"), []);
    assert.deepEqual(resolvePods(pods, "other"), []);
  });
});

test("renderMatrix has a row for each destination and a column for each source", () => {
  const result = (from: string, to: string, verdict: ProbeResult["verdict"]): ProbeResult => ({
    from,
    to,
    verdict,
    protocol: "tcp",
    port: 80,
    family: 4,
    milliseconds: 1,
  });
  const text = renderMatrix([
    result("a", "b", "allowed"),
    result("b", "a", "denied"),
    result("c", "a", "error"),
  ]);
  assert.deepEqual(text.split("\n").slice(0, 3), [
    "to \\ from   1  2  3",
    "b tcp/80    ●      ",
    "a tcp/80       ·  !",
  ]);
  assert.match(text, /1 a +2 b +3 c/);
});
