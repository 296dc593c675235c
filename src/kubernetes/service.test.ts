import assert from "node:assert/strict";
import { test } from "node:test";
import { ServiceClaims } from "./service-claims.ts";
import { translateService as translate } from "./service.ts";

const surroundings = {
  domain: "default",
  pools: ["10.0.0.0/16", "fd00::/64"],
  serviceCidrs: ["10.96.0.0/16", "fd00:96::/112"],
};

function translateService(object: unknown, slices: readonly unknown[], domain = "default") {
  return translate(object, slices, { ...surroundings, domain }).value;
}

function problemsOf(object: unknown, slices: readonly unknown[] = []): string[] {
  const { problems } = translate(object, slices, surroundings);
  return problems.map(({ field, message }) => `${field}: ${message}`);
}

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
  assert.ok(found.every((each) => each.domain === "default" && each.internalPolicy === "Cluster"));
  assert.deepEqual(
    found.map(({ name, portName, family }) => `${name} ${portName} ${family}`),
    ["shop/web http 4", "shop/web http 6", "shop/web dns 4", "shop/web dns 6"],
  );
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
    found.map(({ id, internalPolicy, frontends }) => [
      id,
      internalPolicy,
      frontends.map(({ address, scope }) => `${address} ${scope}`),
    ]),
    [
      [
        "shop/web TCP/80 IPv4",
        "Local",
        ["10.96.0.1 cluster", "203.0.113.1 external", "203.0.113.2 external"],
      ],
    ],
  );
});

test("affinity to a client's address lasts as long as the Service says", () => {
  for (const [spec, expected] of [
    [{ sessionAffinity: "ClientIP" }, 10_800],
    [
      {
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      },
      60,
    ],
    [{ sessionAffinity: "None" }, undefined],
    [{}, undefined],
  ] as const) {
    const object = service({ clusterIP: "10.96.0.1", ports: [http], ...spec });
    assert.equal(translateService(object, [], "default")[0]?.affinitySeconds, expected);
  }
});

test("node ports, policies, source ranges and hints are told as they are", () => {
  const object = service({
    type: "LoadBalancer",
    clusterIP: "10.96.0.1",
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 30099,
    loadBalancerSourceRanges: ["203.0.113.0/24", "2001:db8::/64", "nonsense"],
    ports: [{ ...http, nodePort: 30080 }],
  });
  const hinted = { ...endpoint("10.0.0.1"), hints: { forZones: [{ name: "a" }] } };
  const near = { ...endpoint("10.0.0.2"), hints: { forNodes: [{ name: "n1" }], forZones: [] } };
  const [found] = translateService(object, [slice([served], [hinted, near])], "default");
  assert.equal(found?.nodePort, 30080);
  assert.equal(found?.externalPolicy, "Local");
  assert.equal(found?.healthCheckNodePort, 30099);
  assert.deepEqual(found?.sourceRanges, ["203.0.113.0/24"]);
  assert.deepEqual(
    found?.backends.map(({ zones, nodes }) => ({ zones, nodes })),
    [
      { zones: ["a"], nodes: undefined },
      { zones: undefined, nodes: ["n1"] },
    ],
  );
});

test("a Service that its labels leave to others has no virtual address", () => {
  for (const label of ["service-proxy-name", "headless"]) {
    const labels = { [`service.kubernetes.io/${label}`]: "" };
    const metadata = { namespace: "shop", name: "web", labels };
    const object = { metadata, spec: { clusterIP: "10.96.0.1", ports: [http] } };
    assert.deepEqual(translateService(object, []), [], label);
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

test("an external address that is another's, or leads nowhere, is left out and reported", () => {
  const externalIPs = ["10.0.3.4", "10.96.0.9", "127.0.0.1", "203.0.113.1"];
  const object = service({ clusterIP: "10.96.0.1", externalIPs, ports: [http] });
  assert.deepEqual(
    translateService(object, [])[0]?.frontends.map(({ address }) => address),
    ["10.96.0.1", "203.0.113.1"],
  );
  assert.deepEqual(problemsOf(object), [
    "externalIPs: 10.0.3.4 is in the domain's pools, and may be an endpoint's",
    "externalIPs: 10.96.0.9 is in the domain's serviceCidrs",
    "externalIPs: 127.0.0.1 leads nowhere",
  ]);
});

test("endpoints of unknown types, without a family or leading nowhere are left out and reported", () => {
  const endpoints = ["127.0.0.1", "10.96.0.9", "fd00::1", "10.0.0.1"].map((each) => endpoint(each));
  const slices = [slice([served], endpoints), slice([served], [endpoint("a.example")], "FQDN")];
  const object = service({ clusterIP: "10.96.0.1", ports: [http] });
  assert.deepEqual(
    translateService(object, slices)[0]?.backends.map(({ address }) => address),
    ["10.0.0.1"],
  );
  assert.deepEqual(problemsOf(object, slices), [
    'endpoints: "127.0.0.1" leads nowhere',
    'endpoints: "10.96.0.9" is in the domain\'s serviceCidrs',
    'endpoints: "fd00::1" is no IPv4 address',
    'endpoints: slice web-1 has addresses of type "FQDN"',
  ]);
});

test("ten thousand endpoints are told, and ten thousand bad ones are a few problems", () => {
  const addresses = Array.from(
    { length: 10_000 },
    (_, index) => `10.0.${index >> 8}.${index & 255}`,
  );
  const slices = [
    slice(
      [served],
      addresses.map((address) => endpoint(address)),
    ),
  ];
  const object = service({ clusterIP: "10.96.0.1", ports: [http] });
  assert.equal(translateService(object, slices)[0]?.backends.length, 10_000);
  assert.deepEqual(problemsOf(object, slices), [
    "endpoints: there are 10000: each node spreads its connections over some 1000 of them",
  ]);
  const bad = [
    slice(
      [served],
      addresses.map((address) => endpoint(address.replace("10.0", "127.0"))),
    ),
  ];
  assert.equal(problemsOf(object, bad).length, 8);
});

test("ports that are none are reported", () => {
  const object = service({ clusterIP: "10.96.0.1", ports: [{ ...http, port: 0 }, http] });
  assert.deepEqual(problemsOf(object), [
    'spec.ports[0]: {"name":"http","port":0,"targetPort":8080} is no port',
  ]);
});

function claimed(name: string, spec: object) {
  const object = { metadata: { namespace: "shop", name }, spec: { ports: [http], ...spec } };
  return translateService(object, []);
}

test("a cluster address comes before an external one, and the older claim before the newer", () => {
  const claims = new ServiceClaims();
  const mine = claimed("mine", { clusterIP: "198.51.100.1" });
  const thief = claimed("thief", {
    clusterIP: "10.96.0.2",
    externalIPs: ["198.51.100.1", "203.0.113.1"],
  });
  const late = claimed("late", { clusterIP: "10.96.0.3", externalIPs: ["203.0.113.1"] });
  const since = (key: string, year: number) => ({ key: `shop/${key}`, since: `${year}-01-01` });
  assert.deepEqual([...claims.set(since("thief", 2020), thief)], []);
  assert.deepEqual([...claims.set(since("mine", 2024), mine)], ["shop/thief"]);
  assert.deepEqual([...claims.set(since("late", 2025), late)], ["shop/thief"]);
  const kept = (key: string, services = thief) => {
    const { services: upheld, conflicts } = claims.uphold(`shop/${key}`, services);
    return [upheld[0]?.frontends.map(({ address }) => address), conflicts];
  };
  assert.deepEqual(kept("mine", mine), [["198.51.100.1"], []]);
  assert.deepEqual(kept("thief"), [
    ["10.96.0.2", "203.0.113.1"],
    ["198.51.100.1 TCP port 80 is shop/mine's"],
  ]);
  assert.deepEqual(kept("late", late), [
    ["10.96.0.3"],
    ["203.0.113.1 TCP port 80 is shop/thief's"],
  ]);
  assert.deepEqual([...claims.set(since("thief", 2020), [])].toSorted(), [
    "shop/late",
    "shop/mine",
  ]);
  assert.deepEqual(kept("late", late), [["10.96.0.3", "203.0.113.1"], []]);
  for (const key of ["mine", "late"]) claims.set(since(key, 2024), []);
  assert.equal(claims.size, 0);
});

test("a node port that two Services claim is the older one's", () => {
  const claims = new ServiceClaims();
  const ports = [{ ...http, nodePort: 30080 }];
  const first = claimed("first", { clusterIP: "10.96.0.1", type: "NodePort", ports });
  const second = claimed("second", { clusterIP: "10.96.0.2", type: "NodePort", ports });
  claims.set({ key: "shop/second", since: "2025" }, second);
  claims.set({ key: "shop/first", since: "2024" }, first);
  assert.equal(claims.uphold("shop/first", first).services[0]?.nodePort, 30080);
  const lost = claims.uphold("shop/second", second);
  assert.equal(lost.services[0]?.nodePort, undefined);
  assert.deepEqual(lost.conflicts, ["TCP node port 30080 is shop/first's"]);
});
