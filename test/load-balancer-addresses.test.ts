import assert from "node:assert/strict";
import { test } from "node:test";
import { domainKind } from "../src/kinds/domain.ts";
import { type LoadBalancer, loadBalancerKind } from "../src/kinds/load-balancer.ts";
import { loadBalancerPoolKind } from "../src/kinds/load-balancer-pool.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { until } from "./address-rig.ts";
import { createNode } from "./controller/harness.ts";
import { LoadBalancerRig } from "./load-balancer-rig.ts";

const own = "192.0.2.0/30";
const v6 = "2001:db8::/126";

test("a Service gets an address of each of its families, and it says so", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("edge", { addresses: [own, v6] });
  await rig.service("shop/web", {
    spec: { ipFamilies: ["IPv6", "IPv4"], ipFamilyPolicy: "RequireDualStack" },
  });
  await rig.shows("shop/web", "2001:db8::", "192.0.2.0");
  const { status } = rig.services.get("shop/web") ?? {};
  assert.deepEqual(
    status?.loadBalancer?.ingress?.map(({ ipMode }) => ipMode),
    ["VIP", "VIP"],
  );
  assert.equal(rig.condition("shop/web")?.status, "True");
  await until("the pool's status", async () => (await rig.poolStatus("edge"))?.used === 2);
  assert.equal((await rig.poolStatus("edge"))?.total, "8");
  assert.equal((await rig.rig.reported("AddressAssigned")).regarding.name, "web");
});

test("a Service that needs both families gets none before there are both", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("edge", { addresses: [own] });
  await rig.service("shop/both", {
    spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" },
  });
  await rig.service("shop/either", {
    spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" },
  });
  assert.match(await rig.isRefused("shop/both", "NoPool"), /IPv6/);
  await rig.isRefused("shop/either", "NoPool");
  assert.deepEqual(rig.shown("shop/both"), []);
  assert.equal(rig.shown("shop/either").length, 1);
  await rig.changePool("edge", { addresses: [own, v6] });
  await until("both", () => rig.shown("shop/both").length === 2);
  await until("the other as well", () => rig.shown("shop/either").length === 2);
});

test("an address that is asked for is given, or said why not, and given once it is free", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("edge", { addresses: [own] });
  const asking = (address: string) => ({
    annotations: { "isobar.io/load-balancer-addresses": address },
  });
  await rig.service("shop/a", asking("192.0.2.2"));
  await rig.shows("shop/a", "192.0.2.2");
  await rig.service("shop/b", { spec: { loadBalancerIP: "192.0.2.2" } });
  assert.match(await rig.isRefused("shop/b", "AddressInUse"), /Service shop\/a/);
  await rig.service("shop/c", asking("198.51.100.1"));
  assert.match(await rig.isRefused("shop/c", "AddressOutsidePools"), /198\.51\.100\.1.*edge/);
  await rig.service("shop/d", asking("192.0.2.300"));
  assert.match(await rig.isRefused("shop/d", "RequestInvalid"), /192\.0\.2\.300/);
  await rig.service("shop/e", { ...asking("192.0.2.1"), spec: { loadBalancerIP: "192.0.2.3" } });
  await rig.isRefused("shop/e", "RequestInvalid");
  await rig.service("shop/f", asking("2001:db8::1"));
  await rig.isRefused("shop/f", "RequestInvalid");
  await rig.deleteService("shop/a");
  await rig.shows("shop/b", "192.0.2.2");
  await rig.changeService("shop/b", { spec: { loadBalancerIP: "192.0.2.1" } });
  await rig.shows("shop/b", "192.0.2.1");
  await until("one address given", async () => (await rig.given()).length === 1);
});

test("pools are for whom their selectors and classes say, and for others only by name", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("by-label", {
    addresses: ["192.0.2.0/32"],
    serviceSelector: { matchLabels: { edge: "yes" } },
  });
  await rig.pool("by-class", { addresses: ["192.0.2.1/32"], loadBalancerClass: "example.com/l" });
  await rig.pool("by-namespace", {
    addresses: ["192.0.2.2/32"],
    namespaceSelector: { matchLabels: { tier: "edge" } },
  });
  await rig.pool("by-name", { addresses: ["192.0.2.3/32"], autoAssign: false });
  await rig.service("shop/none");
  await rig.isRefused("shop/none", "NoPool");
  await rig.service("shop/labelled", { labels: { edge: "yes" } });
  await rig.shows("shop/labelled", "192.0.2.0");
  await rig.service("shop/classed", { spec: { loadBalancerClass: "example.com/l" } });
  await rig.shows("shop/classed", "192.0.2.1");
  await rig.service("shop/named", { annotations: { "isobar.io/load-balancer-pool": "by-name" } });
  await rig.shows("shop/named", "192.0.2.3");
  await rig.service("shop/foreign", { spec: { loadBalancerClass: "example.com/other" } });
  await rig.settled("shop/foreign");
  assert.deepEqual(rig.services.get("shop/foreign")?.status, { loadBalancer: {} });
  const patch = {
    type: "merge-patch+json",
    body: { metadata: { labels: { tier: "edge" } } },
  } as const;
  await rig.client.patch(namespaceKind, { name: "shop" }, patch);
  await rig.shows("shop/none", "192.0.2.2");
});

test("without a pool for it a Service without a class is left alone", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("by-class", { addresses: [own], loadBalancerClass: "example.com/l" });
  await rig.service("shop/web");
  await rig.service("shop/other", { spec: { loadBalancerClass: "example.com/l" } });
  await rig.shows("shop/other", "192.0.2.0");
  await rig.settled("shop/web");
  assert.deepEqual(rig.services.get("shop/web")?.status, { loadBalancer: {} });
});

test("those who bring one key share an address, as long as their ports and nodes allow it", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.rig.namespace("other");
  await rig.pool("edge", { addresses: ["192.0.2.0/29"] });
  const annotations = { "isobar.io/sharing-key": "k" };
  const onPort = (port: number) => ({ annotations, spec: { ports: [{ port }] } });
  await rig.service("shop/a", onPort(80));
  await rig.shows("shop/a", "192.0.2.0");
  await rig.service("shop/b", onPort(443));
  await rig.shows("shop/b", "192.0.2.0");
  await rig.service("shop/same-port", onPort(80));
  await rig.shows("shop/same-port", "192.0.2.1");
  await rig.service("other/foreign", onPort(90));
  await rig.shows("other/foreign", "192.0.2.2");
  const local = { ports: [{ port: 91 }], externalTrafficPolicy: "Local" };
  await rig.service("shop/local", { annotations, spec: local });
  await rig.shows("shop/local", "192.0.2.3");
  await rig.service("shop/local-too", {
    annotations,
    spec: { ...local, ports: [{ port: 92 }] },
  });
  await rig.shows("shop/local-too", "192.0.2.3");
  // One that takes a port of another's has to go elsewhere.
  await rig.changeService("shop/b", { spec: { ports: [{ port: 80 }] } });
  await until("b elsewhere", () => !["192.0.2.0", ""].includes(rig.shown("shop/b").join()));
  await rig.deleteService("shop/a");
  await until("what nobody has to be given back", async () => {
    return !(await rig.given()).some(({ spec }) => spec.address === "192.0.2.0");
  });
  assert.deepEqual(rig.violations, []);
});

test("an address is given back when its Service is no load balancer any more, or gone", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("edge", { addresses: ["192.0.2.0/32"] });
  await rig.service("shop/a");
  await rig.shows("shop/a", "192.0.2.0");
  await rig.service("shop/b");
  assert.match(await rig.isRefused("shop/b", "PoolExhausted"), /edge/);
  await rig.changeService("shop/a", { spec: { type: "ClusterIP" } });
  await rig.shows("shop/a");
  await rig.shows("shop/b", "192.0.2.0");
  assert.equal(rig.condition("shop/a"), undefined);
  await rig.deleteService("shop/b");
  await until("nothing given", async () => (await rig.given()).length === 0);
});

test("what is in use stays when its pool shrinks or vanishes, and both say so", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("edge", { addresses: ["192.0.2.0/31"] });
  await rig.service("shop/a");
  await rig.shows("shop/a", "192.0.2.0");
  await rig.changePool("edge", { addresses: ["192.0.2.1/32"] });
  assert.match(await rig.isRefused("shop/a", "OutsidePools"), /192\.0\.2\.0/);
  assert.equal(rig.condition("shop/a")?.status, "True");
  await until("the pool to say so", async () => {
    return (await rig.poolStatus("edge"))?.outside?.join() === "192.0.2.0";
  });
  await rig.client.delete(loadBalancerPoolKind, { name: "edge" });
  await rig.settled("shop/a");
  assert.deepEqual(rig.shown("shop/a"), ["192.0.2.0"]);
  await rig.rig.stopController();
  rig.rig.startController();
  await rig.settled("shop/a");
  assert.deepEqual(rig.shown("shop/a"), ["192.0.2.0"]);
});

test("nobody gets an address that a node has, or one of a domain", async () => {
  await using rig = await LoadBalancerRig.start({ pools: ["10.0.0.0/24"] });
  await createNode(rig.client, "n1", "192.0.2.0");
  await rig.pool("edge", { addresses: ["10.0.0.0/28", "192.0.2.0/31"] });
  const asking = (address: string) => ({
    annotations: { "isobar.io/load-balancer-addresses": address },
  });
  await until("the node to be known", async () => {
    await rig.service("shop/n", asking("192.0.2.0"));
    await until("an answer", () => rig.condition("shop/n") !== undefined);
    const { reason } = rig.condition("shop/n") ?? {};
    await rig.deleteService("shop/n");
    await until("no service", () => !rig.services.has("shop/n"));
    return reason === "AddressReserved";
  });
  await rig.service("shop/a");
  await rig.shows("shop/a", "192.0.2.1");
  await rig.service("shop/b", asking("10.0.0.3"));
  assert.match(await rig.isRefused("shop/b", "AddressReserved"), /domain default/);
  await until("the pool to say so", async () => {
    return /10\.0\.0\.0-10\.0\.0\.15/.test((await rig.poolStatus("edge"))?.problem ?? "");
  });
  await rig.client.delete(domainKind, { name: "default" });
});

test("a LoadBalancer has addresses as a Service has, and never one of a Service's", async () => {
  await using rig = await LoadBalancerRig.start();
  await rig.pool("edge", { addresses: ["192.0.2.0/31", v6] });
  await rig.service("shop/web");
  await rig.shows("shop/web", "192.0.2.0");
  const balancer = (name: string, spec: Partial<LoadBalancer["spec"]>): object => ({
    apiVersion: "isobar.io/v1alpha1",
    kind: "LoadBalancer",
    metadata: { namespace: "shop", name },
    spec: { ports: [{ port: 80 }], members: [{ address: "203.0.113.1" }], ...spec },
  });
  const create = async (name: string, spec: Partial<LoadBalancer["spec"]> = {}): Promise<void> => {
    const path = "/apis/isobar.io/v1alpha1/namespaces/shop/loadbalancers";
    await rig.client.json("POST", path, { body: balancer(name, spec) });
  };
  const status = async (name: string): Promise<LoadBalancer["status"]> =>
    (await rig.client.get(loadBalancerKind, { namespace: "shop", name })).status;
  await create("mixed", { families: ["IPv4", "IPv6"] });
  await until("addresses", async () => {
    return (await status("mixed"))?.addresses?.join() === "192.0.2.1,2001:db8::";
  });
  assert.equal((await status("mixed"))?.conditions?.[0]?.status, "True");
  await until("members", async () => (await status("mixed"))?.healthy === "1/1");
  await create("late");
  await until("a reason", async () => {
    return (await status("late"))?.conditions?.[0]?.reason === "PoolExhausted";
  });
  await rig.client.delete(loadBalancerKind, { namespace: "shop", name: "mixed" });
  await until("the address", async () => (await status("late"))?.addresses?.join() === "192.0.2.1");
  await rig.rig.stopController();
});
