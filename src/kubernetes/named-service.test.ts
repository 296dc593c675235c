import assert from "node:assert/strict";
import { test } from "node:test";
import { selectorOf, targetPortsOf, translateNames } from "./named-service.ts";

function service(spec: object): unknown {
  return { metadata: { namespace: "shop", name: "web" }, spec };
}

const own = { id: "shop/web", domain: "default" };
const http = { name: "http", port: 80, targetPort: "web" };

test("a Service is called by its addresses, of both families, and its named ports", () => {
  const spec = {
    clusterIP: "10.96.0.1",
    clusterIPs: ["10.96.0.1", "FD00:96::1"],
    ports: [http, { port: 81 }, { name: "dns", protocol: "UDP", port: 53 }],
  };
  assert.deepEqual(translateNames(service(spec), [], "default"), {
    ...own,
    addresses: ["10.96.0.1", "fd00:96::1"],
    ports: [
      { name: "http", protocol: "TCP", port: 80 },
      { name: "dns", protocol: "UDP", port: 53 },
    ],
    hosts: [],
  });
});

test("an alias is a name for another name, which has to be one", () => {
  const alias = (externalName: unknown) =>
    translateNames(service({ type: "ExternalName", externalName }), [], "default");
  assert.equal(alias("Api.Example.com.")?.alias, "api.example.com");
  for (const bad of ["", "-", "a b", undefined, 5, `${"a".repeat(64)}.example`]) {
    assert.equal(alias(bad), undefined, String(bad));
  }
});

test("a Service without an address so far has no name", () => {
  assert.equal(translateNames(service({ ports: [http] }), [], "default"), undefined);
  assert.equal(translateNames(service({ clusterIP: "" }), [], "default"), undefined);
  assert.equal(translateNames(service({ clusterIP: "nonsense" }), [], "default"), undefined);
  assert.equal(translateNames({}, [], "default"), undefined);
});

const slice = {
  addressType: "IPv4",
  ports: [{ name: "sql", protocol: "TCP", port: 5432 }],
  endpoints: [
    { addresses: ["10.0.0.2"], hostname: "DB-1", conditions: { ready: true } },
    { addresses: ["10.0.0.1", "10.9.9.9"] },
    { addresses: ["10.0.0.3"], conditions: { ready: false } },
    { addresses: ["nonsense"] },
    {},
  ],
};
const second = {
  addressType: "IPv6",
  ports: [{ name: "", port: 1 }],
  endpoints: [{ addresses: ["fd00::1"], hostname: "bad.name" }],
};
const again = {
  addressType: "IPv4",
  ports: [{ name: "admin", port: 9 }],
  endpoints: [{ addresses: ["10.0.0.2"], hostname: "db-1" }],
};

test("a headless Service has the hosts that are ready, or all that are to be published", () => {
  const hostsOf = (spec: object) =>
    translateNames(service({ clusterIP: "None", ...spec }), [slice, second, again], "default")
      ?.hosts;
  const sql = { name: "sql", protocol: "TCP", port: 5432 };
  const ready = [
    { address: "10.0.0.1", ports: [sql] },
    {
      address: "10.0.0.2",
      hostname: "db-1",
      ports: [sql, { name: "admin", protocol: "TCP", port: 9 }],
    },
    { address: "fd00::1", ports: [] },
  ];
  assert.deepEqual(hostsOf({}), ready);
  const all = hostsOf({ publishNotReadyAddresses: true })?.map(({ address }) => address);
  assert.deepEqual(all, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"]);
});

test("to policies a Service's nodes look like the pods that it selects", () => {
  const spec = { selector: { app: "dns", tier: 5 }, ports: [http, { port: 53, targetPort: 5353 }] };
  assert.deepEqual(selectorOf(service(spec)), { app: "dns" });
  assert.deepEqual(selectorOf(service({})), {});
  assert.deepEqual(targetPortsOf(service(spec)), [{ name: "web", protocol: "TCP", port: 80 }]);
});

test("pods on one node's network have one address and keep their names", () => {
  const endpoints = ["a", "b"].map((hostname) => ({ addresses: ["192.0.2.1"], hostname }));
  const shared = { addressType: "IPv4", ports: [], endpoints };
  const found = translateNames(service({ clusterIP: "None" }), [shared, shared], "default");
  assert.deepEqual(
    found?.hosts.map(({ address, hostname }) => `${address} ${hostname}`),
    ["192.0.2.1 a", "192.0.2.1 b"],
  );
});
