import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterFacts } from "./cluster-facts.ts";
import { judgeAfter, judgeBefore } from "./judge-cluster.ts";
import { parseMetrics, versionIn } from "./metric-values.ts";

function metrics(component: string, values: Readonly<Record<string, number>>, version = "0.1.0") {
  const lines = Object.entries(values).map(
    ([name, value]) => `isobar_${component}_${name} ${value}`,
  );
  return parseMetrics(
    [`isobar_${component}_build_info{version="${version}"} 1`, ...lines].join("\n"),
  );
}

function agentOn(node: string) {
  const values = metrics("agent", { controller_connected: 1 });
  return { pod: `agent-${node}`, node, image: "isobar:0.1.0", ready: true, metrics: values };
}

const counts = { agents_in_force: 2, agents_connected: 2, unrealised_resources: 0 };
const controller = {
  pod: "controller-1",
  node: "node-1",
  image: "isobar:0.1.0",
  ready: true,
  metrics: metrics("controller", counts),
};

const sound: ClusterFacts = {
  version: "v1.35.4",
  nodes: [
    { name: "node-1", addresses: ["192.0.2.1"] },
    { name: "node-2", addresses: ["192.0.2.2"] },
  ],
  serviceAddress: "10.96.0.1",
  domains: [{ name: "default", pools: ["10.128.0.0/14"] }],
  endpoints: [
    { id: "shop/web", domain: "default", addresses: ["10.128.0.2"] },
    { id: "blue/web", domain: "blue", addresses: ["10.128.0.2"] },
  ],
  pods: [{ id: "shop/web", node: "node-1", addresses: ["10.128.0.2"] }],
  agents: [agentOn("node-1"), agentOn("node-2")],
  controllers: [controller],
  otherPlugins: [],
  denied: [],
};

test("nothing is wrong with a sound cluster", () => {
  const findings = [...judgeBefore(sound), ...judgeAfter(sound)];
  assert.deepEqual(
    findings.filter(({ level }) => level !== "ok"),
    [],
  );
});

const changes: readonly [string, Partial<ClusterFacts>, string, RegExp][] = [
  ["api-server", { version: "v1.19.3" }, "error", /too old/],
  [
    "dns",
    { domains: [{ name: "default", pools: [], dnsService: "kube-system/kube-dns" }] },
    "error",
    /node-1, node-2 does not answer DNS at kube-system\/kube-dns/,
  ],
  ["rights", { denied: ["create daemonsets"] }, "error", /daemonsets/],
  ["other-plugins", { otherPlugins: ["kube-system/calico-node"] }, "warning", /calico-node/],
  ["pools", { domains: [] }, "error", /no Domain/],
  ["pools", { serviceAddress: "10.128.0.1" }, "error", /Services/],
  ["pools", { nodes: [{ name: "node-1", addresses: ["10.129.3.4"] }] }, "error", /node node-1/],
  ["controller", { controllers: [] }, "error", /no controller/],
  ["controller", { controllers: [{ ...controller, ready: false }] }, "error", /not ready/],
  ["agents", { agents: [agentOn("node-1")] }, "error", /node-2/],
  [
    "versions",
    {
      agents: [agentOn("node-1"), { ...agentOn("node-2"), metrics: metrics("agent", {}, "0.2.0") }],
    },
    "warning",
    /0\.1\.0, 0\.2\.0/,
  ],
  [
    "in-force",
    {
      controllers: [
        { ...controller, metrics: metrics("controller", { ...counts, agents_in_force: 1 }) },
      ],
    },
    "error",
    /1 of 2 nodes/,
  ],
  [
    "in-force",
    {
      controllers: [
        { ...controller, metrics: metrics("controller", { ...counts, unrealised_resources: 3 }) },
      ],
    },
    "error",
    /3 resources/,
  ],
  [
    "in-force",
    {
      agents: [
        agentOn("node-1"),
        { ...agentOn("node-2"), metrics: metrics("agent", { controller_connected: 0 }) },
      ],
    },
    "error",
    /no controller: node-2/,
  ],
  [
    "in-force",
    { controllers: [{ ...controller, metrics: undefined }] },
    "unknown",
    /cannot be read/,
  ],
  [
    "addresses",
    {
      endpoints: [
        ...sound.endpoints!,
        { id: "shop/db", domain: "default", addresses: ["10.128.0.2"] },
      ],
    },
    "error",
    /10\.128\.0\.2 of shop\/web and shop\/db/,
  ],
  ["addresses", { endpoints: undefined }, "unknown", /cannot be listed/],
  [
    "pods",
    { pods: [{ id: "shop/old", node: "node-1", addresses: ["10.244.0.7"] }] },
    "warning",
    /shop\/old/,
  ],
];

test("whatever is not as it should be is told, with what to do", () => {
  for (const [check, change, level, message] of changes) {
    const facts = { ...sound, ...change };
    const found = [...judgeBefore(facts), ...judgeAfter(facts)].find(
      (finding) => finding.check === check && finding.level !== "ok",
    );
    assert.equal(found?.level, level, `${check} ${JSON.stringify(change)}`);
    assert.match(found.message, message);
    assert.ok((found.action ?? "").length > 10, check);
  }
});

test("metrics are read by their series", () => {
  const values = parseMetrics('# HELP x X.\nx 1\ny{kind="a b"} 2.5\n\nz NaN\n');
  assert.deepEqual([values.get("x"), values.get('y{kind="a b"}')], [1, 2.5]);
  assert.equal(versionIn(values), undefined);
});
