import assert from "node:assert/strict";
import { test } from "node:test";
import { translateService } from "./service.ts";

function service(spec: object, status = {}): unknown {
  return { metadata: { namespace: "shop", name: "web" }, spec, status };
}

function slice(ports: readonly object[], endpoints: readonly object[], addressType = "IPv4") {
  return { metadata: { namespace: "shop", name: "web-1" }, addressType, ports, endpoints };
}

const http = { name: "http", port: 80, targetPort: 8080 };
const served = { name: "http", protocol: "TCP", port: 8080 };

function endpoint(address: string, conditions = {}, nodeName = "n1") {
  return { addresses: [address], conditions, nodeName };
}

test("each port and family is a virtual service with the endpoints of its slices", () => {
  const dual = service({
    clusterIP: "10.96.0.1",
    clusterIPs: ["10.96.0.1", "fd00:96::1"],
    ports: [http, { name: "dns", protocol: "UDP", port: 53 }],
  });
  const slices = [
    slice([served, { name: "dns", protocol: "UDP", port: 5353 }], [endpoint("10.0.0.1")]),
    slice([served], [endpoint("fd00::1", {}, "n2")], "IPv6"),
    slice([{ ...served, port: 9090 }], [endpoint("10.0.0.2"), endpoint("10.0.0.1")]),
  ];
  const found = translateService(dual, slices, "default");
  assert.deepEqual(
    found.map(({ id, frontends, backends }) => [
      id,
      frontends.map(({ address, port }) => `${address} ${port}`),
      backends.map(({ address, port, node }) => `${address} ${port} ${node}`),
    ]),
    [
      [
        "shop/web TCP/80 IPv4",
        ["10.96.0.1 80"],
        ["10.0.0.1 8080 n1", "10.0.0.1 9090 n1", "10.0.0.2 9090 n1"],
      ],
      ["shop/web TCP/80 IPv6", ["fd00:96::1 80"], ["fd00::1 8080 n2"]],
      ["shop/web UDP/53 IPv4", ["10.96.0.1 53"], ["10.0.0.1 5353 n1"]],
      ["shop/web UDP/53 IPv6", ["fd00:96::1 53"], []],
    ],
  );
  assert.ok(found.every(({ domain, localOnly }) => domain === "default" && !localOnly));
});

test("endpoints count by their conditions", () => {
  const endpoints = [
    endpoint("10.0.0.1", {}),
    endpoint("10.0.0.2", { ready: true, serving: true, terminating: false }),
    endpoint("10.0.0.3", { ready: false, serving: true, terminating: true }),
    endpoint("10.0.0.4", { ready: false, serving: false, terminating: true }),
    endpoint("10.0.0.5", { ready: false }),
    { addresses: [], conditions: {} },
    endpoint("nonsense"),
  ];
  const slices = [slice([served], endpoints), slice([served], [endpoint("10.0.0.3")])];
  const [found] = translateService(service({ clusterIP: "10.96.0.1", ports: [http] }), slices, "d");
  assert.deepEqual(
    found?.backends.map(({ address, ready }) => [address, ready]),
    [
      ["10.0.0.1", true],
      ["10.0.0.2", true],
      ["10.0.0.3", true],
    ],
  );
  const [before] = translateService(
    service({ clusterIP: "10.96.0.1", ports: [http] }),
    [slice([served], endpoints)],
    "d",
  );
  assert.equal(before?.backends.find(({ address }) => address === "10.0.0.3")?.ready, false);
});

test("addresses for the outside lead to the same backends, whatever the policy for the inside", () => {
  const found = translateService(
    service(
      {
        type: "LoadBalancer",
        clusterIP: "10.96.0.1",
        internalTrafficPolicy: "Local",
        externalIPs: ["203.0.113.1"],
        ports: [http],
      },
      {
        loadBalancer: {
          ingress: [
            { ip: "203.0.113.2", ipMode: "VIP" },
            { ip: "203.0.113.3", ipMode: "Proxy" },
            { hostname: "lb.example" },
          ],
        },
      },
    ),
    [slice([served], [endpoint("10.0.0.1")])],
    "default",
  );
  assert.deepEqual(
    found.map(({ id, localOnly, frontends }) => [
      id,
      localOnly,
      frontends.map((one) => one.address),
    ]),
    [
      ["shop/web TCP/80 IPv4", true, ["10.96.0.1"]],
      ["shop/web TCP/80 IPv4 external", false, ["203.0.113.1", "203.0.113.2"]],
    ],
  );
});

test("affinity to a client's address makes it sticky", () => {
  for (const [sessionAffinity, expected] of [
    ["ClientIP", true],
    ["None", false],
    [undefined, false],
  ]) {
    const spec = { clusterIP: "10.96.0.1", sessionAffinity, ports: [http] };
    assert.equal(translateService(service(spec), [], "default")[0]?.sticky, expected);
  }
});

test("what is a name only, or cannot be understood, has no virtual address", () => {
  for (const spec of [
    { type: "ExternalName", externalName: "example.org", ports: [http] },
    { clusterIP: "None", ports: [http] },
    { clusterIP: "", ports: [http] },
    { clusterIP: "10.96.0.1" },
    { clusterIP: "10.96.0.1", ports: [{ ...http, port: 0 }, { ...http, protocol: "X" }, 7] },
    { clusterIP: 7, clusterIPs: [7], ports: "none" },
  ]) {
    assert.deepEqual(translateService(service(spec), [], "default"), [], JSON.stringify(spec));
  }
  assert.deepEqual(translateService(undefined, [], "default"), []);
});
