import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ExternalHostSpec,
  defaultExternalHosts,
  netnsPrefix,
  planNetwork,
  podNetns,
} from "./plan.ts";

test("every node and host has a namespace and addresses of its own", () => {
  const nodes = Array.from({ length: 200 }, (_, index) => `node${index + 1}`);
  const plan = planNetwork("lab", nodes, defaultExternalHosts);
  const hosts = [...plan.nodes, ...plan.externalHosts];
  for (const values of [
    [plan.fabric, ...hosts.map(({ netns }) => netns)],
    hosts.map(({ port }) => port),
    hosts.flatMap(({ placements }) => placements.map(({ address }) => address)),
  ]) {
    assert.equal(new Set(values).size, values.length);
  }
  assert.deepEqual(plan.nodes[0], {
    name: "node1",
    netns: "isobar-lab.node.node1",
    port: "node0",
    placements: [
      { address: "172.30.0.10", length: 24, router: "172.30.0.1" },
      { address: "fd00:30::a", length: 64, router: "fd00:30::1" },
    ],
  });
  assert.deepEqual(plan.externalHosts[1]?.placements, [
    { address: "192.0.2.10", length: 24, router: "192.0.2.1" },
    { address: "2001:db8:2::10", length: 48, router: "2001:db8:2::1" },
  ]);
});

test("no name of one lab begins as another lab's names do", () => {
  const labs = ["a", "a-b", "a-pod", "isobar"];
  for (const lab of labs) {
    const plan = planNetwork(lab, ["b"], defaultExternalHosts);
    const names = [plan.fabric, ...plan.nodes.map(({ netns }) => netns), podNetns(lab, "b/c")];
    for (const name of names) {
      assert.deepEqual(
        labs.filter((other) => name.startsWith(netnsPrefix(other))),
        [lab],
      );
    }
  }
});

test("pods of different namespaces never share a name, and no pod leaves its folder", () => {
  assert.equal(podNetns("lab", "shop/web.1"), "isobar-lab.pod.shop.web.1");
  assert.notEqual(podNetns("lab", "a/b-c"), podNetns("lab", "a-b/c"));
  for (const pod of [
    "",
    "/",
    "a/../b",
    "../a",
    "a/b/c",
    "A/b",
    "a b/c",
    `a/${"b".repeat(254)}`,
    "a.b/c",
  ]) {
    assert.throws(() => podNetns("lab", pod), { name: "LabError" }, pod);
  }
});

function host(address: string): ExternalHostSpec[] {
  return [{ name: "h", addresses: [address] }];
}

test("what cannot be planned is refused with a reason", () => {
  for (const [nodes, hosts, reason] of [
    [["Node"], [], /expected a name/],
    [["a", "a"], [], /twice/],
    [["a/b"], [], /expected a name/],
    [Array.from({ length: 201 }, (_, i) => `n${i}`), [], /at most 200 nodes/],
    [[], host("192.0.2.10"), /prefix length/],
    [[], host("nonsense/24"), /prefix length/],
    [[], host("192.0.2.1/24"), /router/],
    [[], host("192.0.2.10/33"), /CIDR/],
  ] as const) {
    assert.throws(() => planNetwork("lab", nodes, hosts), reason);
  }
});
