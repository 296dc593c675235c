// What the API server gives Services: cluster addresses of the families they ask for, and node ports.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog } from "../src/apiserver/catalog.ts";
import { ExpiryLeases } from "../src/apiserver/expiry-leases.ts";
import { ObjectService } from "../src/apiserver/object-service.ts";
import { ServiceAllocator, reservationKeysOf } from "../src/apiserver/service-allocator.ts";
import {
  type ServiceNetwork,
  ServicePools,
  defaultServiceNetwork,
  reservationPrefix,
} from "../src/apiserver/service-pools.ts";
import { repairReservations } from "../src/apiserver/service-setup.ts";
import { ensureSystemNamespaces } from "../src/apiserver/system-namespaces.ts";
import { StatusError } from "../src/apimachinery/errors.ts";
import { decodeObject } from "../src/apimachinery/object.ts";
import { kinds } from "../src/kinds/kinds.ts";
import { type Service, serviceKind } from "../src/kinds/service.ts";
import type { ServiceSpec } from "../src/kinds/service-type.ts";
import { createLog } from "../src/runtime/log.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import type { Store } from "../src/store/store.ts";
import { startTestApi } from "./api-harness.ts";

const log = createLog({ name: "test", level: "silent" });
const small: ServiceNetwork = {
  cidrs: ["10.96.0.0/28", "fd00:96::/124"],
  nodePorts: { from: 30_000, to: 30_009 },
};

class Services {
  readonly store: Store;
  readonly service: ObjectService;

  private constructor(store: Store, network: ServiceNetwork) {
    this.store = store;
    const now = (): Date => new Date();
    this.service = new ObjectService({
      store,
      catalog: new Catalog(kinds),
      leases: new ExpiryLeases(store, now),
      allocators: [new ServiceAllocator(new ServicePools(store, network))],
      now,
    });
  }

  static async start(network = defaultServiceNetwork, store = openMemoryStore()) {
    const services = new Services(store, network);
    await ensureSystemNamespaces(services.service);
    return services;
  }

  async create(name: string, spec: object, dryRun = false): Promise<ServiceSpec> {
    const { object } = decodeObject(serviceKind, { metadata: { name }, spec });
    const { entry } = await this.service.create(serviceKind, "default", object, { dryRun });
    return specIn(entry.value);
  }

  async update(name: string, change: (spec: ServiceSpec) => object): Promise<ServiceSpec> {
    const target = { kind: serviceKind, namespace: "default", name };
    const { entry } = await this.service.update(target, (current) => {
      const spec = change(specIn(JSON.stringify(current)));
      return decodeObject(serviceKind, { metadata: current.metadata, spec }).object;
    });
    return specIn(entry.value);
  }

  async delete(name: string): Promise<void> {
    await this.service.delete({ kind: serviceKind, namespace: "default", name });
  }

  /** What is reserved, and what the Services that are stored have. */
  async reservations(): Promise<{ reserved: string[]; held: string[] }> {
    const { entries } = await this.store.range({ prefix: reservationPrefix });
    const stored = await this.store.range({ prefix: "/registry/core/services/" });
    const held = stored.entries.flatMap(({ value }) => [...reservationKeysOf(JSON.parse(value))]);
    return { reserved: entries.map(({ key }) => key), held: held.toSorted() };
  }
}

function specIn(value: string): ServiceSpec {
  const { spec = {} }: Service = JSON.parse(value);
  return spec;
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StatusError) return `${error.status.code} ${error.status.message}`;
    throw error;
  }
  return "accepted";
}

const ports = [{ port: 80 }];

test("a Service gets one address of the cluster's first family, or of those that it asks for", async () => {
  const services = await Services.start();
  const plain = await services.create("plain", { ports });
  assert.match(plain.clusterIP ?? "", /^10\.96\./);
  assert.deepEqual(plain.clusterIPs, [plain.clusterIP]);
  assert.deepEqual(plain.ipFamilies, ["IPv4"]);
  assert.equal(plain.ipFamilyPolicy, "SingleStack");
  const six = await services.create("six", { ports, ipFamilies: ["IPv6"] });
  assert.match(six.clusterIP ?? "", /^fd00:10:96::/);
  for (const ipFamilyPolicy of ["PreferDualStack", "RequireDualStack"]) {
    const spec = { ports, ipFamilyPolicy, ipFamilies: ["IPv6"] };
    const dual = await services.create(ipFamilyPolicy.toLowerCase(), spec);
    assert.deepEqual(dual.ipFamilies, ["IPv6", "IPv4"]);
    assert.match((dual.clusterIPs ?? []).join(" "), /^fd00:10:96::\S+ 10\.96\.\S+$/);
  }
});

test("a cluster of one family refuses what needs two, and gives one to those that prefer two", async () => {
  const services = await Services.start({ ...defaultServiceNetwork, cidrs: ["10.96.0.0/16"] });
  const refused = (spec: object) => refusal(services.create("a", { ports, ...spec }));
  assert.equal(
    await refused({ ipFamilyPolicy: "RequireDualStack" }),
    '422 Service "a" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
  );
  assert.equal(
    await refused({ ipFamilies: ["IPv6"] }),
    '422 Service "a" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
  );
  assert.match(await refused({ clusterIP: "fd00::1" }), /IPv6 is not configured on this cluster/);
  const prefers = await services.create("b", { ports, ipFamilyPolicy: "PreferDualStack" });
  assert.deepEqual(prefers.ipFamilies, ["IPv4"]);
});

test("an address that is asked for is given, if it is of the range and free", async () => {
  const services = await Services.start();
  const asked = await services.create("a", { ports, clusterIP: "10.96.7.7" });
  assert.deepEqual(asked.clusterIPs, ["10.96.7.7"]);
  const refused = (clusterIP: string) => refusal(services.create("b", { ports, clusterIP }));
  assert.equal(
    await refused("10.96.7.7"),
    '422 Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.7.7"]: failed to allocate IP 10.96.7.7: provided IP is already allocated',
  );
  for (const address of ["10.97.0.1", "10.96.0.0", "10.96.255.255", "fd00:10:96::"]) {
    assert.match(
      await refused(address),
      /provided IP is not in the valid range. The range of valid IPs is (10.96.0.0\/16|fd00:10:96::\/112)$/,
    );
  }
  await services.delete("a");
  assert.deepEqual((await services.create("b", { ports, clusterIP: "10.96.7.7" })).clusterIPs, [
    "10.96.7.7",
  ]);
});

test("names only, headless or external, take nothing", async () => {
  const services = await Services.start();
  const headless = await services.create("headless", { clusterIP: "None", selector: { a: "b" } });
  assert.deepEqual([headless.clusterIPs, headless.ipFamilies], [["None"], ["IPv4"]]);
  const bare = await services.create("bare", { clusterIP: "None" });
  assert.deepEqual([bare.ipFamilies, bare.ipFamilyPolicy], [["IPv4", "IPv6"], "RequireDualStack"]);
  const external = await services.create("external", {
    type: "ExternalName",
    externalName: "example.org",
  });
  assert.deepEqual([external.clusterIP, external.ipFamilies], [undefined, undefined]);
  assert.deepEqual((await services.reservations()).reserved, []);
});

test("node ports are given, or taken as asked for; ports of one number share theirs", async () => {
  const services = await Services.start();
  const dns = [
    { name: "tcp", port: 53 },
    { name: "udp", port: 53, protocol: "UDP" },
    { name: "web", port: 80, nodePort: 30_080 },
  ];
  const { ports: given = [] } = await services.create("dns", { type: "NodePort", ports: dns });
  const [tcp, udp, web] = given.map(({ nodePort = 0 }) => nodePort);
  assert.ok(tcp !== undefined && tcp >= 30_000 && tcp <= 32_767, String(tcp));
  assert.deepEqual([udp, web], [tcp, 30_080]);
  const refused = (nodePort: number, changes = {}) =>
    refusal(services.create("b", { type: "NodePort", ports: [{ port: 1, nodePort }], ...changes }));
  assert.equal(
    await refused(30_080),
    '422 Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
  );
  assert.equal(
    await refused(80),
    '422 Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
  );
  const local = { type: "LoadBalancer", externalTrafficPolicy: "Local" };
  assert.equal(
    await refused(30_081, { ...local, healthCheckNodePort: 30_080 }),
    "500 Internal error occurred: failed to allocate requested HealthCheck NodePort 30080: provided port is already allocated",
  );
  const balanced = await services.create("c", { ...local, ports });
  assert.ok((balanced.healthCheckNodePort ?? 0) >= 30_000);
  assert.notEqual(balanced.healthCheckNodePort, balanced.ports?.[0]?.nodePort);
  const without = await services.create("d", {
    type: "LoadBalancer",
    allocateLoadBalancerNodePorts: false,
    ports,
  });
  assert.equal(without.ports?.[0]?.nodePort, undefined);
});

test("a manifest sent again keeps what was given", async () => {
  const services = await Services.start();
  const manifest = { type: "NodePort", ipFamilyPolicy: "RequireDualStack", ports };
  const before = await services.create("a", manifest);
  assert.deepEqual(await services.update("a", () => manifest), before);
  const renamed = { ...manifest, ports: [{ port: 81 }] };
  const after = await services.update("a", () => renamed);
  assert.equal(after.ports?.[0]?.nodePort, before.ports?.[0]?.nodePort);
});

test("another type gives back what it has no use for", async () => {
  const services = await Services.start();
  const local = { type: "LoadBalancer", externalTrafficPolicy: "Local" };
  await services.create("a", { ...local, ports });
  const { reserved } = await services.reservations();
  assert.equal(reserved.length, 3);
  const inside = await services.update("a", (spec) => ({ ...spec, type: "ClusterIP" }));
  assert.deepEqual(
    [
      inside.ports?.[0]?.nodePort,
      inside.healthCheckNodePort,
      inside.externalTrafficPolicy,
      inside.allocateLoadBalancerNodePorts,
    ],
    [undefined, undefined, undefined, undefined],
  );
  assert.equal((await services.reservations()).reserved.length, 1);
  const name = await services.update("a", (spec) => ({
    ...spec,
    type: "ExternalName",
    externalName: "example.org",
  }));
  assert.deepEqual([name.clusterIP, name.clusterIPs, name.ipFamilies], Array(3).fill(undefined));
  assert.deepEqual((await services.reservations()).reserved, []);
  const back = await services.update("a", (spec) => ({ ...spec, type: "NodePort" }));
  assert.ok(back.clusterIP !== undefined && back.ports?.[0]?.nodePort !== undefined);
  const { reserved: again, held } = await services.reservations();
  assert.deepEqual(again.toSorted(), held);
});

test("a second family comes and goes with the policy, the first never changes", async () => {
  const services = await Services.start();
  const single = await services.create("a", { ports });
  const dual = await services.update("a", (spec) => ({
    ...spec,
    ipFamilyPolicy: "RequireDualStack",
  }));
  assert.equal(dual.clusterIPs?.[0], single.clusterIP);
  assert.equal(dual.clusterIPs?.length, 2);
  assert.equal((await services.reservations()).reserved.length, 2);
  assert.match(
    await refusal(
      services.update("a", (spec) => ({ ...spec, clusterIPs: spec.clusterIPs?.slice(0, 1) })),
    ),
    /must be 'SingleStack' to release the secondary cluster IP/,
  );
  assert.match(
    await refusal(
      services.update("a", (spec) => ({
        ...spec,
        clusterIP: "10.96.9.9",
        clusterIPs: ["10.96.9.9", spec.clusterIPs?.[1]],
      })),
    ),
    /spec.clusterIPs\[0\]: Invalid value: .*: may not change once set/,
  );
  const back = await services.update("a", (spec) => ({ ...spec, ipFamilyPolicy: "SingleStack" }));
  assert.deepEqual(back.clusterIPs, [single.clusterIP]);
  const { reserved, held } = await services.reservations();
  assert.deepEqual(reserved, held);
  assert.equal(reserved.length, 1);
});

test("a dry run says what would be given, and gives nothing", async () => {
  const services = await Services.start();
  const spec = await services.create("a", { type: "NodePort", ports }, true);
  assert.ok(spec.clusterIP !== undefined && spec.ports?.[0]?.nodePort !== undefined);
  assert.deepEqual((await services.reservations()).reserved, []);
  await services.create("b", { ports, clusterIP: "10.96.1.1" });
  const taken = services.create("c", { ports, clusterIP: "10.96.1.1" }, true);
  assert.match(await refusal(taken), /already allocated/);
});

test("many at once never get the same, and get all that there is", async () => {
  const services = await Services.start(small);
  const wanted = Array.from({ length: 40 }, (_, index) =>
    services.create(`s${index}`, { ports, ipFamilies: [index % 2 === 0 ? "IPv4" : "IPv6"] }),
  );
  const results = await Promise.allSettled(wanted);
  const given = results.filter(({ status }) => status === "fulfilled");
  const { reserved, held } = await services.reservations();
  assert.equal(given.length, 14 + 15);
  assert.equal(new Set(held).size, held.length);
  assert.deepEqual(reserved.toSorted(), held);
  const [failed] = results.filter((result) => result.status === "rejected");
  assert.match(String(failed?.reason), /failed to allocate a serviceIP: range is full/);
  const nodePorts = Array.from({ length: 20 }, (_, index) =>
    services.update(`s${index}`, (spec) => ({ ...spec, type: "NodePort" })),
  );
  const ported = await Promise.allSettled(nodePorts);
  assert.equal(ported.filter(({ status }) => status === "fulfilled").length, 10);
});

test("whatever is created, changed and deleted at once, what is reserved is what the Services have", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  let state = seed;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const services = await Services.start(small);
  const specs = [
    { ports },
    { type: "NodePort", ports },
    { type: "NodePort", ports: [{ port: 80, nodePort: 30_003 }] },
    { type: "LoadBalancer", externalTrafficPolicy: "Local", ports },
    { type: "ExternalName", externalName: "example.org" },
    { ports, ipFamilyPolicy: "RequireDualStack" },
    { ports, clusterIP: "10.96.0.5" },
    { clusterIP: "None", ports },
  ];
  const act = async (): Promise<void> => {
    const name = `s${random(12)}`;
    const spec = specs[random(specs.length)] ?? {};
    const choice = random(4);
    if (choice === 0) await services.delete(name);
    else if (choice === 1) await services.update(name, (old) => ({ ...old, ...spec }));
    else await services.create(name, spec);
  };
  for (let round = 0; round < 60; round++) {
    await Promise.allSettled(Array.from({ length: 8 }, act));
    const { reserved, held } = await services.reservations();
    assert.deepEqual(reserved.toSorted(), held, `seed ${seed}, round ${round}`);
    assert.equal(new Set(held).size, held.length, `seed ${seed}, round ${round}`);
  }
});

test("a server that starts reserves what Services have that were stored without", async () => {
  const before = await Services.start();
  await before.create("a", { ports, clusterIP: "10.96.1.1" });
  await before.create("b", { type: "NodePort", ports: [{ port: 80, nodePort: 30_001 }] });
  const { reserved } = await before.reservations();
  const [lost] = reserved;
  assert.ok(lost !== undefined);
  await before.store.transact({
    success: [
      { kind: "delete", key: lost },
      { kind: "put", key: `${reservationPrefix}ports/30002`, value: '{"uid":"x","name":"y"}' },
    ],
  });
  await repairReservations(before.store, log);
  assert.deepEqual((await before.reservations()).reserved, reserved);
});

test("the API server is a Service of its own, with an endpoint where it is said to be reached", async () => {
  await using api = await startTestApi({ advertise: "192.0.2.1" });
  const { body: service } = await api.raw("GET", "/api/v1/namespaces/default/services/kubernetes");
  assert.equal(service.spec.clusterIP, "10.96.0.1");
  const port = Number(new URL(api.server.url).port);
  assert.deepEqual(service.spec.ports, [
    { name: "https", port: 443, protocol: "TCP", targetPort: port },
  ]);
  const path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";
  const { body: slice } = await api.raw("GET", path);
  assert.deepEqual(slice.endpoints[0].addresses, ["192.0.2.1"]);
  assert.equal(slice.ports[0].port, port);
  const taken = { metadata: { name: "x" }, spec: { clusterIP: "10.96.0.1", ports } };
  const { code } = await api.raw("POST", "/api/v1/namespaces/default/services", { body: taken });
  assert.equal(code, 422);
});
