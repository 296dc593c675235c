import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadBalancer } from "../kinds/load-balancer.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { VirtualService } from "../model/service.ts";
import { LoadBalancerMembers, type StoredLoadBalancer } from "./load-balancer-members.ts";
import type { NodeHealth } from "./node-health.ts";

type Spec = LoadBalancer["spec"];
const key = "shop/mixed";

class Rig {
  readonly services = new Map<string, VirtualService>();
  readonly checks = new Map<string, HealthCheck>();
  readonly health = new Map<string, NodeHealth>();
  readonly members = new LoadBalancerMembers({
    domainOf: () => "default",
    nodes: () => ["n1", "n2", "n3", "n4"],
    healthOf: (node) => this.health.get(node) ?? "well",
    setService: (id, service) => {
      if (service) this.services.set(id, service);
      else this.services.delete(id);
    },
    setCheck: (id, check) => {
      if (check) this.checks.set(id, check);
      else this.checks.delete(id);
    },
    onStatus: () => undefined,
  });

  set(spec: Partial<Spec>, status: StoredLoadBalancer["status"] = {}): void {
    const full: Spec = { ports: [{ port: 80, targetPort: 8080 }], members: [], ...spec };
    this.members.set(key, { spec: full, status: { addresses: ["192.0.2.1"], ...status } });
  }

  pod(name: string, address: string, node: string, app = "web"): void {
    this.members.setEndpoint(`shop/${name}`, { labels: { app }, addresses: [address], node });
  }

  /** Address → weight of the backends of the only service. */
  get backends(): Readonly<Record<string, number>> {
    assert.ok(this.services.size <= 1);
    const [service] = this.services.values();
    const backends = service?.backends ?? [];
    return Object.fromEntries(backends.map(({ address, weight = 1 }) => [address, weight]));
  }

  find(address: string): HealthCheck {
    const check = [...this.checks.values()].find((each) => each.address === address);
    assert.ok(check, `no check of ${address}`);
    return check;
  }

  say(address: string, healthy: boolean, ...nodes: readonly string[]): void {
    const { id, checkers } = this.find(address);
    for (const node of nodes.length > 0 ? nodes : checkers) {
      const message = healthy ? "" : "refused";
      this.members.take(node, [{ check: id, healthy, message }]);
    }
  }
}

const web = { podSelector: { matchLabels: { app: "web" } } };

test("members are pods by their labels, endpoints by name and plain addresses, with their weights", () => {
  const rig = new Rig();
  rig.pod("a", "10.0.0.1", "n1");
  rig.pod("other", "10.0.0.9", "n1", "db");
  rig.members.setEndpoint("shop/vm", {
    labels: {},
    addresses: ["10.0.0.7", "fd00::7"],
    node: "n2",
  });
  rig.set({
    members: [
      web,
      { endpoint: "vm", weight: 3 },
      { address: "203.0.113.1", weight: 0 },
      { endpoint: "gone" },
    ],
  });
  assert.deepEqual(rig.backends, { "10.0.0.1": 1, "10.0.0.7": 3 });
  // It has no address of the other family.
  assert.equal(rig.members.statusOf(key)?.healthy, "3/3");
  assert.deepEqual(rig.members.statusOf(key)?.problems, ['endpoint "gone" does not exist']);
  rig.pod("b", "10.0.0.2", "n2");
  assert.deepEqual(rig.backends, { "10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.7": 3 });
  rig.members.setEndpoint("shop/a", undefined);
  assert.deepEqual(rig.backends, { "10.0.0.2": 1, "10.0.0.7": 3 });
  const [service] = rig.services.values();
  assert.deepEqual(service?.frontends, [{ address: "192.0.2.1", port: 80, scope: "external" }]);
  assert.equal(service?.backends[0]?.port, 8080);
  rig.members.set(key, undefined);
  assert.equal(rig.services.size, 0);
});

test("a member is looked after by its own node, one without a node by three, of whom most decide", () => {
  const rig = new Rig();
  rig.pod("a", "10.0.0.1", "n1");
  rig.set({ members: [web, { address: "203.0.113.1" }], healthCheck: {} });
  assert.deepEqual(rig.find("10.0.0.1").checkers, ["n1"]);
  const { checkers } = rig.find("203.0.113.1");
  assert.equal(checkers.length, 3);
  rig.say("10.0.0.1", true);
  rig.say("203.0.113.1", true, checkers[0] ?? "");
  assert.deepEqual(rig.backends, { "10.0.0.1": 1, "203.0.113.1": 1 });
  rig.say("203.0.113.1", false, checkers[1] ?? "", checkers[2] ?? "");
  assert.deepEqual(rig.backends, { "10.0.0.1": 1 });
  assert.equal(rig.members.statusOf(key)?.healthy, "1/2");
  // Its node is silent: others look, and what was found last stands until they have.
  rig.health.set("n1", "silent");
  rig.members.nodesChanged();
  assert.ok(!rig.find("10.0.0.1").checkers.includes("n1"));
  assert.deepEqual(rig.backends, { "10.0.0.1": 1 });
  rig.say("10.0.0.1", false);
  assert.equal(rig.members.statusOf(key)?.healthy, "0/2");
  rig.members.set(key, undefined);
  assert.equal(rig.checks.size, 0);
});

test("when nobody is healthy all are used, or none", () => {
  const rig = new Rig();
  rig.pod("a", "10.0.0.1", "n1");
  rig.set({ members: [web], healthCheck: {} });
  assert.deepEqual(rig.backends, { "10.0.0.1": 1 }, "nobody has looked yet");
  rig.say("10.0.0.1", false);
  assert.deepEqual(rig.backends, { "10.0.0.1": 1 });
  rig.set({ members: [web], healthCheck: {}, whenAllUnhealthy: "Reject" });
  assert.deepEqual(rig.backends, {});
  assert.equal(rig.services.size, 1, "the address still refuses");
  rig.say("10.0.0.1", true);
  assert.deepEqual(rig.backends, { "10.0.0.1": 1 });
});

test("after a start of the controller what stands on the object counts until a node says otherwise", () => {
  const rig = new Rig();
  rig.pod("a", "10.0.0.1", "n1");
  rig.pod("b", "10.0.0.2", "n1");
  const members = [
    { address: "10.0.0.1", health: "Healthy" as const },
    { address: "10.0.0.2", health: "Unhealthy" as const, message: "refused" },
  ];
  rig.set({ members: [web], healthCheck: {} }, { members });
  assert.deepEqual(rig.backends, { "10.0.0.1": 1 });
  assert.equal(rig.members.statusOf(key)?.members?.[1]?.message, "refused");
  rig.say("10.0.0.2", true);
  assert.deepEqual(rig.backends, { "10.0.0.1": 1, "10.0.0.2": 1 });
});
