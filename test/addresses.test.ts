// The controller's addresses on the real API server.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { configMapKind } from "../src/kinds/config-map.ts";
import { domainKind } from "../src/kinds/domain.ts";
import { endpointKind } from "../src/kinds/endpoint.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { networkKind } from "../src/kinds/network.ts";
import { podKind } from "../src/kinds/pod.ts";
import { AddressRig, until } from "./address-rig.ts";

const annotated = (annotations: Readonly<Record<string, string>>) => ({
  annotations: { ...annotations },
});

describe("addresses of pods", () => {
  test("each namespace has a network of its own, and each pod an address of each family", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("shop");
    await rig.namespace("pay");
    await rig.pod("shop/a");
    assert.deepEqual(await rig.addressesOf("shop/a"), ["10.0.0.1", "fd00::1"]);
    await rig.pod("shop/b");
    assert.deepEqual(await rig.addressesOf("shop/b"), ["10.0.0.2", "fd00::2"]);
    await rig.pod("pay/a");
    assert.deepEqual(await rig.addressesOf("pay/a"), ["10.0.0.17", "fd00::11"]);
    assert.deepEqual(rig.violations, []);
  });

  test("a pod that was made again under its name gets other addresses, and the old ones rest", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("shop");
    await rig.pod("shop/a");
    await rig.addressesOf("shop/a");
    await rig.deletePod("shop/a");
    const { metadata } = await rig.pod("shop/a");
    assert.deepEqual(await rig.addressesOf("shop/a", metadata.uid), ["10.0.0.2", "fd00::2"]);
    assert.deepEqual(rig.violations, []);
  });

  test("hundreds of pods at once get their addresses in a few writes of the ledgers", async () => {
    let writes = 0;
    const fateOf = () => {
      writes += 1;
      return "works" as const;
    };
    const lengths = { ipv4: 24, ipv6: 120 };
    const pools = ["10.0.0.0/16", "fd00::/112"];
    await using rig = await AddressRig.start({ lengths, pools, fateOf });
    await rig.namespace("many");
    const keys = Array.from({ length: 300 }, (_, index) => `many/p${index}`);
    await Promise.all(keys.map(async (key) => await rig.pod(key)));
    await until("all endpoints", () => rig.endpoints.size === 300, 60_000);
    assert.deepEqual(rig.violations, []);
    assert.ok(writes < 400, `${writes} writes for 300 endpoints`);
  });

  test("an address is not given out again while it rests, and a restart does not cut that short", async () => {
    const times = { quarantineMs: 3_000 };
    const pools = ["10.0.0.0/29"];
    await using rig = await AddressRig.start({ pools, lengths: { ipv4: 29, ipv6: 64 }, times });
    await rig.namespace("z");
    for (const name of ["a", "b", "c", "d", "e", "f"]) await rig.pod(`z/${name}`);
    await until("six endpoints", () => rig.endpoints.size === 6);
    await rig.deletePod("z/a");
    await until("an address that rests", () =>
      [...rig.networks.values()].some(({ status }) => (status?.resting ?? []).length > 0),
    );
    const since = performance.now();
    await rig.stopController();
    rig.startController();
    await rig.pod("z/g");
    assert.match((await rig.reported("AddressesExhausted")).message, /10\.0\.0\.0\/29.* exhausted/);
    await rig.addressesOf("z/g");
    assert.ok(performance.now() - since > 1_500, "it was given out early");
    assert.deepEqual(rig.violations, []);
  });

  test("a network that stays empty is taken away, and its part of the pool can be cut again", async () => {
    const pools = ["10.0.0.0/28"];
    await using rig = await AddressRig.start({ pools });
    await rig.namespace("a");
    await rig.namespace("b");
    await rig.pod("a/p");
    await rig.addressesOf("a/p");
    await rig.deletePod("a/p");
    await rig.pod("b/p");
    await rig.addressesOf("b/p");
    assert.deepEqual([...rig.networks.keys()], ["b/pods-10-0-0-0-28"]);
    const usage = async () => {
      const { status } = await rig.api.client.get(domainKind, { name: "default" });
      return status?.networks === 1 && status.used === 1 && status.pools?.[0]?.networks === 1;
    };
    await until("the domain's usage", usage);
    assert.deepEqual(rig.violations, []);
  });

  test("a network that a user made is used, and stays when it is empty", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    await rig.api.client.create(networkKind, {
      apiVersion: "isobar.io/v1alpha1",
      kind: "Network",
      metadata: { namespace: "z", name: "mine" },
      spec: { domain: "default", cidrs: ["10.0.0.64/28"] },
    });
    await until("the network", () => rig.networks.has("z/mine"));
    await rig.pod("z/p");
    assert.deepEqual(await rig.addressesOf("z/p"), ["10.0.0.65"]);
    await rig.deletePod("z/p");
    await until("no endpoint", () => rig.endpoints.size === 0);
    await sleep(1_500);
    assert.deepEqual([...rig.networks.keys()], ["z/mine"]);
  });

  test("the part of a pool that a deleted namespace had rests as its addresses do", async () => {
    const times = { quarantineMs: 2_000 };
    const pools = ["10.0.0.0/28"];
    await using rig = await AddressRig.start({ pools, times });
    await rig.namespace("old");
    await rig.pod("old/p");
    await rig.addressesOf("old/p");
    await rig.api.client.delete(namespaceKind, { name: "old" });
    await until("no network", () => rig.networks.size === 0);
    const since = performance.now();
    await rig.namespace("new");
    await rig.pod("new/p");
    await rig.addressesOf("new/p");
    assert.ok(performance.now() - since > 1_000, "it was cut again early");
    assert.deepEqual(rig.violations, []);
  });

  for (const [what, cidr, message] of [
    ["overlaps another one", "10.0.0.0/26", /overlaps network z\/pods-10-0-0-0-28/],
    ["is outside the pools", "10.9.0.0/28", /10\.9\.0\.0\/28 is not in the pools/],
  ] as const) {
    test(`of a network that ${what} nothing is given out`, async () => {
      await using rig = await AddressRig.start();
      await rig.namespace("z");
      await rig.namespace("other");
      await rig.pod("z/a");
      await rig.addressesOf("z/a");
      await rig.api.client.create(networkKind, {
        apiVersion: "isobar.io/v1alpha1",
        kind: "Network",
        metadata: { namespace: "other", name: "mine" },
        spec: { domain: "default", cidrs: [cidr] },
      });
      const report = await rig.reported("NetworkNotUsed");
      assert.match(report.message, message);
      assert.equal(report.regarding.name, "mine");
      await rig.stopController();
      rig.startController();
      await rig.pod("other/a");
      assert.notEqual((await rig.addressesOf("other/a"))[1], undefined);
      assert.deepEqual(
        rig.violations.filter((each) => !each.includes("networks")),
        [],
      );
    });
  }

  test("an endpoint that a user made for something else stays, and a pod of its name waits", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    await rig.pod("z/a");
    await rig.addressesOf("z/a");
    const [network] = rig.networks.values();
    assert.ok(network);
    await rig.api.client.create(endpointKind, {
      apiVersion: "isobar.io/v1alpha1",
      kind: "Endpoint",
      metadata: { namespace: "z", name: "vm" },
      spec: {
        domain: "default",
        network: network.metadata.name,
        addresses: ["10.0.0.2"],
        mac: "0a:00:00:00:00:01",
        attachment: { kind: "VirtualMachine", name: "vm" },
      },
    });
    await until("its place in the ledger", () =>
      [...rig.networks.values()].some(({ status }) => status?.allocated === "1-2"),
    );
    await rig.pod("z/vm");
    assert.match((await rig.reported("EndpointNameTaken")).message, /z\/vm/);
    await rig.pod("z/b");
    assert.deepEqual(await rig.addressesOf("z/b"), ["10.0.0.3", "fd00::3"]);
    assert.equal(rig.endpoints.get("z/vm")?.spec.attachment.kind, "VirtualMachine");
  });

  test("an endpoint that was deleted by hand is made again with the addresses that its pod has", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    await rig.pod("z/a");
    const pod = await rig.pod("z/b");
    const addresses = await rig.addressesOf("z/b");
    const podIPs = addresses.map((ip) => ({ ip }));
    const status = { phase: "Running", podIPs };
    await rig.api.client.updateStatus(podKind, { ...pod, status });
    const before = rig.endpoints.get("z/b")?.metadata.uid;
    await rig.api.client.delete(endpointKind, { namespace: "z", name: "b" });
    await until("another endpoint", () => {
      const endpoint = rig.endpoints.get("z/b");
      return endpoint !== undefined && endpoint.metadata.uid !== before;
    });
    assert.deepEqual(await rig.addressesOf("z/b"), addresses);
  });
});

describe("requested addresses", () => {
  test("a pod gets exactly the addresses that it asks for, in a network that is cut for them", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    await rig.pod("z/a", annotated({ "isobar.io/addresses": "10.0.0.70" }));
    assert.deepEqual(await rig.addressesOf("z/a"), ["10.0.0.70", "fd00::6"]);
    await rig.pod("z/b", annotated({ "isobar.io/addresses": "10.0.0.72, fd00::9" }));
    assert.deepEqual(await rig.addressesOf("z/b"), ["10.0.0.72", "fd00::9"]);
    assert.deepEqual(rig.violations, []);
  });

  for (const [what, annotations, message] of [
    ["malformed", { "isobar.io/addresses": "10.0.0.300" }, /expected addresses.*"10\.0\.0\.300"/],
    ["outside the pools", { "isobar.io/addresses": "10.1.0.1" }, /10\.1\.0\.1 is not in the pools/],
    ["taken", { "isobar.io/addresses": "10.0.0.1" }, /10\.0\.0\.1.* taken by endpoint z\/first/],
    ["a broadcast address", { "isobar.io/addresses": "10.0.0.15" }, /not given to endpoints/],
    ["of another namespace", { "isobar.io/addresses": "10.0.0.18" }, /of another namespace/],
    ["in no network", { "isobar.io/network": "nowhere" }, /no network "nowhere"/],
    [
      "in foreign pools",
      { "isobar.io/pools": "10.2.0.0/16" },
      /10\.2\.0\.0\/16 is not in the pools/,
    ],
    ["kept by nobody", { "isobar.io/keep-addresses": "owner" }, /has no owner/],
    ["kept forever", { "isobar.io/keep-addresses": "always" }, /"owner" or a time.*"always"/],
  ] as const) {
    test(`addresses that are ${what} are refused with a reason`, async () => {
      await using rig = await AddressRig.start();
      await rig.namespace("z");
      await rig.namespace("other");
      await rig.pod("z/first");
      await rig.addressesOf("z/first");
      await rig.pod("other/first");
      await rig.addressesOf("other/first");
      await rig.pod("z/p", annotated(annotations));
      const report = await Promise.race([
        rig.reported("AddressRefused"),
        rig.reported("AddressesExhausted"),
      ]);
      assert.match(report.message, message);
      assert.equal(report.regarding.name, "p");
      assert.equal(rig.endpoints.has("z/p"), false);
    });
  }

  test("a namespace's networks come from the pools that it names", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z", { "isobar.io/pools": "10.0.0.128/26" });
    await rig.pod("z/a");
    assert.deepEqual(await rig.addressesOf("z/a"), ["10.0.0.129"]);
  });

  test("kept addresses wait for the next pod of the name until the owner has gone", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    const owner = await rig.api.client.create(configMapKind, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace: "z", name: "set" },
    });
    const { uid } = owner.metadata;
    const reference = { apiVersion: "v1", kind: "ConfigMap", name: "set", uid, controller: true };
    const metadata = {
      ...annotated({ "isobar.io/keep-addresses": "owner" }),
      ownerReferences: [reference],
    };
    await rig.pod("z/set-0", metadata);
    const addresses = await rig.addressesOf("z/set-0");
    await rig.deletePod("z/set-0");
    await until("a kept endpoint", () => rig.endpoints.get("z/set-0")?.status?.phase === "Kept");
    await rig.stopController();
    const again = await rig.pod("z/set-0", metadata, "n2");
    rig.startController();
    assert.deepEqual(await rig.addressesOf("z/set-0", again.metadata.uid), addresses);
    await until("its new node", () => rig.endpoints.get("z/set-0")?.spec.node === "n2");
    await rig.deletePod("z/set-0");
    await rig.api.client.delete(configMapKind, { namespace: "z", name: "set" });
    await until("no endpoint", () => rig.endpoints.size === 0);
    await until("no leak", () => rig.disagreements().length === 0);
    assert.deepEqual(rig.violations, []);
  });

  test("a static pod keeps its addresses when what stands for it in the API is made anew", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    const metadata = annotated({ "kubernetes.io/config.hash": "of-the-manifest" });
    await rig.pod("z/static-n1", metadata);
    const addresses = await rig.addressesOf("z/static-n1");
    await rig.deletePod("z/static-n1");
    await until(
      "a kept endpoint",
      () => rig.endpoints.get("z/static-n1")?.status?.phase === "Kept",
    );
    const again = await rig.pod("z/static-n1", metadata);
    assert.deepEqual(await rig.addressesOf("z/static-n1", again.metadata.uid), addresses);
    assert.deepEqual(rig.violations, []);
  });

  test("addresses kept for a time are given up after it", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    await rig.pod("z/p", annotated({ "isobar.io/keep-addresses": "2s" }));
    await rig.addressesOf("z/p");
    await rig.deletePod("z/p");
    await until("a kept endpoint", () => rig.endpoints.get("z/p")?.status?.phase === "Kept");
    const since = performance.now();
    await until("no endpoint", () => rig.endpoints.size === 0);
    assert.ok(performance.now() - since > 1_000, "it was given up early");
    await until("no leak", () => rig.disagreements().length === 0);
  });
});
