// `isobar ipam check` on a real API server, with faults made by hand while no controller looks.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkAddresses, formatReport } from "../src/cli/ipam-check.ts";
import { overviewOf } from "../src/cli/ipam-show.ts";
import { fetchAddressObjects } from "../src/cli/ipam-objects.ts";
import { type Endpoint, endpointKind } from "../src/kinds/endpoint.ts";
import { networkKind } from "../src/kinds/network.ts";
import { podKind } from "../src/kinds/pod.ts";
import { AddressRig, until } from "./address-rig.ts";

/** Two pods with their endpoints, and no controller any more. */
async function startStill(): Promise<AddressRig> {
  const rig = await AddressRig.start();
  await rig.namespace("z");
  await rig.pod("z/a");
  await rig.addressesOf("z/a");
  await rig.pod("z/b");
  await rig.addressesOf("z/b");
  await rig.stopController();
  return rig;
}

async function check(rig: AddressRig, repair = false): Promise<string[]> {
  const { findings } = await checkAddresses(rig.api.client, { settleMs: 0, repair });
  return findings.map((finding) => {
    const outcome = "repaired" in finding ? ` (${finding.repaired ? "repaired" : "left"})` : "";
    return `${finding.kind} ${finding.object}${outcome}`;
  });
}

/** An endpoint for no pod, in the network of the others. */
async function addEndpoint(
  rig: AddressRig,
  name: string,
  change: Partial<Endpoint["spec"]>,
): Promise<void> {
  const like = rig.endpoints.get("z/a")?.spec;
  assert.ok(like);
  await rig.api.client.create(endpointKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Endpoint",
    metadata: { namespace: "z", name },
    spec: { ...like, attachment: { kind: "Pod", name, uid: `uid of ${name}` }, ...change },
  });
}

describe("isobar ipam check", () => {
  test("finds nothing on a cluster that is sound, also while it changes", async () => {
    await using rig = await AddressRig.start();
    await rig.namespace("z");
    for (let index = 0; index < 30; index++) await rig.pod(`z/p${index}`);
    const [report] = await Promise.all([
      checkAddresses(rig.api.client, { settleMs: 20_000, repair: false }),
      ...Array.from({ length: 15 }, async (_, index) => await rig.deletePod(`z/p${index}`)),
    ]);
    assert.deepEqual(report.findings, []);
    assert.match(formatReport(report), /all as it should be/);
  });

  test("an endpoint without a pod is deleted, and its place given back", async () => {
    await using rig = await startStill();
    await rig.deletePod("z/b");
    await until("its endpoint to go", () => !rig.endpoints.has("z/b"));
    await addEndpoint(rig, "lost", { addresses: ["10.0.0.9", "fd00::9"] });
    const found = [
      "no-pod Endpoint z/lost",
      "not-reserved Network z/pods-10-0-0-0-28",
      "leaked Network z/pods-10-0-0-0-28",
    ];
    assert.deepEqual(await check(rig), found);
    await check(rig, true);
    assert.deepEqual(await check(rig), []);
    assert.equal(rig.endpoints.has("z/lost"), false);
    const network = await rig.api.client.get(networkKind, {
      namespace: "z",
      name: "pods-10-0-0-0-28",
    });
    assert.equal(network.status?.allocated, "1");
    assert.deepEqual(
      network.status?.resting?.map(({ offsets }) => offsets),
      ["2"],
    );
  });

  test("of two with one address the one that does not use it gives way, and gets another", async () => {
    await using rig = await startStill();
    const pod = await rig.pod("z/c");
    await addEndpoint(rig, "c", { attachment: { kind: "Pod", name: "c", uid: pod.metadata.uid } });
    const user = await rig.api.client.get(podKind, { namespace: "z", name: "a" });
    const podIPs = [{ ip: "10.0.0.1" }];
    await rig.api.client.updateStatus(podKind, { ...user, status: { phase: "Running", podIPs } });
    const found = await check(rig, true);
    assert.ok(found.includes("duplicate Endpoint z/c (repaired)"), found.join());
    assert.ok(found.includes("duplicate Endpoint z/a (left)"), found.join());
    assert.deepEqual(await check(rig), ["no-endpoint Pod z/c"]);
    rig.startController();
    assert.deepEqual(await rig.addressesOf("z/c", pod.metadata.uid), ["10.0.0.3", "fd00::3"]);
    await until("nothing to be found", async () => (await check(rig)).length === 0);
  });

  test("what cannot be repaired is said, and left", async () => {
    await using rig = await startStill();
    await rig.api.client.create(networkKind, {
      apiVersion: "isobar.io/v1alpha1",
      kind: "Network",
      metadata: { namespace: "z", name: "over" },
      spec: { domain: "default", cidrs: ["10.0.0.0/29"] },
    });
    assert.deepEqual(await check(rig, true), ["networks-overlap Network z/over (left)"]);
    assert.deepEqual(await check(rig), ["networks-overlap Network z/over"]);
  });

  test("show counts what is used and what rests", async () => {
    await using rig = await startStill();
    const { networks, pools } = overviewOf(await fetchAddressObjects(rig.api.client), Date.now());
    assert.deepEqual(networks, [
      {
        network: "z/pods-10-0-0-0-28",
        domain: "default",
        cidrs: ["10.0.0.0/28", "fd00::/124"],
        used: 2,
        free: 12,
        resting: 0,
      },
    ]);
    assert.deepEqual(
      pools.map(({ pool, size }) => `${pool} ${size}`),
      ["10.0.0.0/24 256", "fd00::/120 256"],
    );
  });
});
