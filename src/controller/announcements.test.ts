import assert from "node:assert/strict";
import { test } from "node:test";
import type { Announcement } from "../model/announcement.ts";
import { Announcements, type Election } from "./announcements.ts";
import { type NodeHealth, NodeHealthWatch } from "./node-health.ts";

const excluded = "node.kubernetes.io/exclude-from-external-load-balancers";

/** Three nodes that are well, and what was announced and told. */
class Rig {
  readonly health = new Map<string, NodeHealth>();
  readonly announced = new Map<string, Announcement>();
  readonly elections: [string, Election][] = [];
  readonly announcements = new Announcements({
    healthOf: (node) => this.health.get(node) ?? "well",
    announce: (id, announcement) => {
      if (announcement) this.announced.set(id, announcement);
      else this.announced.delete(id);
    },
    onElected: (id, election) => this.elections.push([id, election]),
  });

  constructor() {
    for (const name of ["n1", "n2", "n3"]) this.node(name);
    this.announcements.setPool("edge", { addresses: ["192.0.2.0/24"] });
  }

  node(name: string, labels: Record<string, string> = {}, isReady = true): void {
    this.announcements.setNode(name, { labels, isReady });
  }

  address(address: string, { node, localTo }: { node?: string; localTo?: string } = {}): void {
    const holder = { kind: "Service", namespace: "shop", name: "web", uid: "u", ports: [] };
    const holders = [{ ...holder, ...(localTo !== undefined && { localTo }) }];
    this.announcements.setAddress(address, {
      spec: { address, pool: "edge", holders },
      ...(node !== undefined && { status: { node } }),
    });
  }

  by(address: string): string | undefined {
    return this.announced.get(address)?.nodes[0];
  }

  set(node: string, health: NodeHealth): void {
    this.health.set(node, health);
    this.announcements.healthChanged(node);
  }
}

test("addresses are spread over the nodes, and only those of a node that goes move", () => {
  const rig = new Rig();
  rig.announcements.start();
  const addresses = Array.from({ length: 90 }, (_, index) => `192.0.2.${index}`);
  for (const address of addresses) rig.address(address);
  const before = new Map(addresses.map((address) => [address, rig.by(address)]));
  for (const node of ["n1", "n2", "n3"]) {
    const count = [...before.values()].filter((each) => each === node).length;
    assert.ok(count > 10 && count < 60, `${node} has ${count} of 90`);
  }
  rig.set("n2", "silent");
  for (const [address, node] of before) {
    if (node === "n2") assert.ok(["n1", "n3"].includes(rig.by(address) ?? ""));
    else assert.equal(rig.by(address), node);
  }
  // One that comes back takes nothing away: each move breaks connections.
  const then = new Map(addresses.map((address) => [address, rig.by(address)]));
  rig.set("n2", "well");
  for (const [address, node] of then) assert.equal(rig.by(address), node);
});

test("nodes that are not ready, excluded or not selected announce nothing", () => {
  const rig = new Rig();
  rig.announcements.start();
  rig.address("192.0.2.1");
  rig.node("n1", { [excluded]: "" });
  rig.node("n2", {}, false);
  assert.equal(rig.by("192.0.2.1"), "n3");
  rig.announcements.setPool("edge", {
    addresses: ["192.0.2.0/24"],
    announcement: { nodeSelector: { matchLabels: { edge: "yes" } }, interfaces: ["eth1"] },
  });
  assert.equal(rig.by("192.0.2.1"), undefined);
  assert.match(rig.elections.at(-1)?.[1].message ?? "", /no node/);
  rig.node("n2", { edge: "yes" });
  assert.deepEqual(rig.announced.get("192.0.2.1"), {
    address: "192.0.2.1",
    protocol: "L2",
    nodes: ["n2"],
    interfaces: ["eth1"],
  });
  rig.announcements.setPool("edge", { addresses: [], announcement: { protocol: "None" } });
  assert.equal(rig.by("192.0.2.1"), undefined);
});

test("where the external traffic policy is Local only nodes with a backend announce", () => {
  const rig = new Rig();
  rig.announcements.start();
  rig.address("192.0.2.1", { localTo: "app=web" });
  assert.equal(rig.by("192.0.2.1"), undefined);
  rig.announcements.setBackends("Service shop/web", new Set(["n2"]));
  assert.equal(rig.by("192.0.2.1"), "n2");
  rig.announcements.setBackends("Service shop/web", new Set(["n3"]));
  assert.equal(rig.by("192.0.2.1"), "n3");
});

test("after a start whoever has announced an address goes on until it is known not to be well", () => {
  const rig = new Rig();
  for (const node of ["n1", "n2", "n3"]) rig.health.set(node, "unknown");
  rig.address("192.0.2.1", { node: "n2" });
  assert.equal(rig.by("192.0.2.1"), undefined, "not everything is known yet");
  rig.announcements.start();
  assert.equal(rig.by("192.0.2.1"), "n2");
  assert.deepEqual(rig.elections, [], "nothing is news");
  rig.set("n1", "well");
  assert.equal(rig.by("192.0.2.1"), "n2");
  rig.set("n2", "silent");
  assert.equal(rig.by("192.0.2.1"), "n1");
});

test("when no agent answers any more everything stays as it is", () => {
  const rig = new Rig();
  rig.announcements.start();
  rig.address("192.0.2.1");
  const before = rig.by("192.0.2.1") ?? "";
  const others = ["n1", "n2", "n3"].filter((node) => node !== before);
  for (const node of others) rig.set(node, "silent");
  rig.set(before, "silent");
  assert.equal(rig.by("192.0.2.1"), before);
  rig.set(others[0] ?? "", "well");
  assert.equal(rig.by("192.0.2.1"), others[0]);
});

test("an agent is silent after three seconds, but not when the controller has been so itself", () => {
  let nowMs = 0;
  const heard = new Map<string, number>();
  const changes: string[] = [];
  using watch = new NodeHealthWatch({
    nodes: () => ["n1"],
    lastHeardMs: (node) => heard.get(node),
    onChange: (node) => changes.push(`${nowMs} ${node} ${watch.of(node)}`),
    now: () => nowMs,
  });
  const run = (untilMs: number): void => {
    for (; nowMs < untilMs; nowMs += 250) watch.tick();
  };
  run(1_000);
  heard.set("n1", nowMs);
  run(20_000);
  assert.deepEqual(changes, ["0 n1 unknown", "1000 n1 well", "4000 n1 silent"]);
  heard.set("n1", nowMs);
  watch.tick();
  nowMs += 10_000;
  watch.tick();
  assert.equal(watch.of("n1"), "well");
  run(nowMs + 1_250);
  assert.equal(watch.of("n1"), "well");
  run(nowMs + 1_000);
  assert.equal(watch.of("n1"), "silent");
});
