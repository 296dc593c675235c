// Names of Services: told where nodes answer DNS, and nowhere else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { domainKind } from "../../src/kinds/domain.ts";
import { endpointSliceKind } from "../../src/kinds/endpoint-slice.ts";
import { serviceKind } from "../../src/kinds/service.ts";
import { startTestApi } from "../api-harness.ts";
import {
  RunningController,
  createDomain,
  createNamespace,
  createNode,
  createPolicy,
} from "./harness.ts";

const object = { apiVersion: "v1", kind: "Service" } as const;

test("names are told while the domain has DNS, each change alone, and nothing is left behind", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await createDomain(client, 1, "10.1.0.0/16");
  await createNode(client, "n1", "192.0.2.1");
  await createNamespace(client, "shop");
  await createPolicy(client, "all", { podSelector: {}, policyTypes: ["Egress"] });
  await client.create(serviceKind, {
    ...object,
    metadata: { namespace: "kube-system", name: "kube-dns" },
    spec: {
      clusterIP: "10.96.0.10",
      selector: { "k8s-app": "kube-dns" },
      ports: [{ name: "dns", protocol: "UDP", port: 53, targetPort: 53 }],
    },
  });
  await client.create(serviceKind, {
    ...object,
    metadata: { namespace: "shop", name: "db" },
    spec: { clusterIP: "None", ports: [{ name: "sql", port: 5432 }] },
  });
  const hosts = (...addresses: string[]) => ({
    addressType: "IPv4" as const,
    ports: [{ name: "sql", port: 5432 }],
    endpoints: addresses.map((address) => ({
      addresses: [address],
      hostname: `db${address.at(-1)}`,
    })),
  });
  const place = { namespace: "shop", name: "db-1" };
  await client.create(endpointSliceKind, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { ...place, labels: { "kubernetes.io/service-name": "db" } },
    ...hosts("10.1.0.1", "10.1.0.2"),
  });
  await using running = new RunningController({ "": client });
  await using agent = running.agent("n1");
  await agent.until(() => agent.ids("node").length === 1 && agent.ids("service").length > 0);
  // The API server makes a Service for itself.
  const named = (): string[] =>
    [...agent.ids("record"), ...agent.ids("host")].filter((id) => !id.startsWith("default/"));
  assert.deepEqual(named(), []);
  assert.deepEqual(agent.ids("endpoint"), []);

  const switchDns = async (dns: object | null): Promise<void> => {
    const body = { spec: { dns } };
    await client.patch(domainKind, { name: "default" }, { type: "merge-patch+json", body });
  };
  await switchDns({ service: "kube-system/kube-dns" });
  const all = ["kube-system/kube-dns", "shop/db", "shop/db 10.1.0.1 db1", "shop/db 10.1.0.2 db2"];
  await agent.until(() => named().length === all.length);
  assert.deepEqual(named(), all);
  assert.deepEqual(agent.resources.get("host/shop/db 10.1.0.2 db2"), {
    kind: "host",
    id: "shop/db 10.1.0.2 db2",
    record: "shop/db",
    address: "10.1.0.2",
    hostname: "db2",
    ports: [{ name: "sql", protocol: "TCP", port: 5432 }],
  });
  const domain = agent.resources.get("domain/default");
  assert.ok(domain?.kind === "domain");
  assert.deepEqual(domain.dns, {
    service: "kube-system/kube-dns",
    zone: "cluster.local",
    ttlSeconds: 5,
    upstreams: [],
    forwarders: [],
  });
  // To policies the nodes' DNS is one of the Service's pods.
  const [id] = agent.ids("endpoint");
  const server = agent.resources.get(`endpoint/${id}`);
  assert.ok(server?.kind === "endpoint");
  assert.deepEqual([server.node, server.addresses], ["*", ["10.96.0.10"]]);
  assert.match(server.identity, /kube-dns/);

  const body = hosts("10.1.0.2", "10.1.0.3");
  await client.patch(endpointSliceKind, place, { type: "merge-patch+json", body });
  await agent.until(() => agent.ids("host").includes("shop/db 10.1.0.3 db3"));
  assert.deepEqual(agent.ids("host"), ["shop/db 10.1.0.2 db2", "shop/db 10.1.0.3 db3"]);

  await client.delete(serviceKind, { namespace: "shop", name: "db" });
  await agent.until(() => named().length === 1);
  await switchDns(null);
  await agent.until(() => agent.ids("record").length === 0 && agent.ids("endpoint").length === 0);
});

test("what DNS settings cannot be is refused", async () => {
  await using api = await startTestApi();
  await createDomain(api.client, 1, "10.1.0.0/16");
  const refused = async (dns: object): Promise<string> => {
    const body = { spec: { dns } };
    const patch = { type: "merge-patch+json", body } as const;
    const error: unknown = await api.client.patch(domainKind, { name: "default" }, patch).then(
      () => new Error("taken"),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error);
    return error.message;
  };
  const service = "kube-system/kube-dns";
  assert.match(await refused({ service: "kube-dns" }), /spec\.dns\.service.*NAMESPACE\/NAME/);
  assert.match(await refused({ service, zone: "a b" }), /spec\.dns\.zone/);
  assert.match(await refused({ service, ttlSeconds: 4000 }), /spec\.dns\.ttlSeconds.*3600/);
  assert.match(await refused({ service, upstreams: ["dns.example"] }), /spec\.dns\.upstreams\[0\]/);
  const forwarders = [
    { zone: "corp.example", servers: ["192.0.2.1"] },
    { zone: "corp.example", servers: ["192.0.2.1:0"] },
  ];
  const message = await refused({ service, forwarders });
  assert.match(message, /spec\.dns\.forwarders\[1\]\.zone.*Duplicate/);
  assert.match(message, /spec\.dns\.forwarders\[1\]\.servers\[0\]/);
  assert.match(await refused({}), /service/);
});
