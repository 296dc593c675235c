import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { translateCluster } from "./cluster.ts";
import { translateDomain } from "./domain.ts";
import { translateNamespace } from "./namespace.ts";
import { translateNode } from "./node.ts";
import { translatePod } from "./pod.ts";

const metadata = { namespace: "shop", name: "web", labels: { app: "web" } };
const pod = {
  kind: "Pod",
  metadata,
  spec: { nodeName: "n1", containers: [{ ports: [{ name: "http", containerPort: 80 }] }] },
  status: { phase: "Running", podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }] },
};

function endpointOf(namespace: string, address: string): unknown {
  return { kind: "Endpoint", metadata: { namespace, name: "web" }, spec: { addresses: [address] } };
}

function policy(name: string, spec: unknown): unknown {
  return { kind: "NetworkPolicy", metadata: { namespace: "shop", name }, spec };
}

/** The addresses of the pod beside an Endpoint object that was made for a pod with this uid. */
function addressesBeside(uid: string): readonly string[] | undefined {
  const spec = { addresses: ["10.0.0.8"], attachment: { kind: "Pod", name: "web", uid } };
  const current = { ...pod, metadata: { ...metadata, uid: "new" } };
  return translateCluster([current, { kind: "Endpoint", metadata, spec }]).endpoints[0]?.addresses;
}

describe("translatePod", () => {
  test("gives an endpoint with what the pod says", () => {
    assert.deepEqual(translatePod(pod), {
      id: "shop/web",
      zone: "shop",
      labels: { app: "web" },
      namedPorts: [{ name: "http", protocol: "TCP", port: 80 }],
      domain: "default",
      addresses: ["10.0.0.1", "fd00::1"],
      mac: "",
      uids: [],
      node: "n1",
    });
  });

  test("tells the uids by which a runtime may name the pod", () => {
    const annotations = { "kubernetes.io/config.hash": "hash-of-the-manifest" };
    const uidsOf = (more: object): readonly string[] | undefined =>
      translatePod({ ...pod, metadata: { ...metadata, ...more } })?.uids;
    assert.deepEqual(uidsOf({ uid: "u-1" }), ["u-1"]);
    assert.deepEqual(uidsOf({ uid: "u-1", annotations }), ["u-1", "hash-of-the-manifest"]);
  });

  test("takes addresses, MAC and domain from the Endpoint object where there is one", () => {
    const spec = { domain: "red", addresses: ["10.9.9.9"], mac: "0a:00:00:00:00:01" };
    const endpoint = translatePod(pod, { metadata, spec });
    assert.equal(endpoint?.domain, "red");
    assert.equal(endpoint.mac, "0a:00:00:00:00:01");
    assert.deepEqual(endpoint.addresses, ["10.9.9.9"]);
  });

  test("a pod that is not placed and has no address is an endpoint already", () => {
    const pending = translatePod({ metadata, spec: {}, status: { phase: "Pending" } });
    assert.equal(pending?.node, undefined);
    assert.deepEqual([pending?.addresses, pending?.namedPorts], [[], []]);
  });

  test("keeps one address a family and leaves out text that is none", () => {
    const podIPs = ["x", "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"].map((ip) => ({ ip }));
    assert.deepEqual(translatePod({ ...pod, status: { podIPs } })?.addresses, [
      "10.0.0.1",
      "fd00::1",
    ]);
  });

  test("host-network pods and pods that have ended are no endpoints", () => {
    assert.equal(translatePod({ ...pod, spec: { hostNetwork: true } }), undefined);
    for (const phase of ["Succeeded", "Failed"]) {
      assert.equal(translatePod({ ...pod, status: { phase } }), undefined);
    }
  });

  test("a terminating pod is still an endpoint", () => {
    const deletionTimestamp = "2026-01-01T00:00:00Z";
    assert.ok(translatePod({ ...pod, metadata: { ...metadata, deletionTimestamp } }));
  });

  test("a pod whose name or labels make no sense is no endpoint", () => {
    for (const odd of [
      { namespace: "shop" },
      { name: "web" },
      { ...metadata, labels: { app: 7 } },
      { ...metadata, labels: "x" },
    ]) {
      assert.equal(translatePod({ ...pod, metadata: odd }), undefined);
    }
  });

  test("labels with odd keys stay labels", () => {
    const labels = JSON.parse('{"__proto__": "x", "constructor": "y"}');
    const translated = translatePod({ ...pod, metadata: { ...metadata, labels } })?.labels ?? {};
    assert.deepEqual(Object.entries(translated), [
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });

  test("named ports that make no sense are left out", () => {
    const ports = [
      { name: "a" },
      { name: "b", containerPort: "80" },
      { name: "c", containerPort: 80, protocol: "IP" },
      { containerPort: 80 },
      7,
      { name: "d", containerPort: 53, protocol: "UDP" },
    ];
    assert.deepEqual(
      translatePod({ ...pod, spec: { containers: [{ ports }, null, "x"] } })?.namedPorts,
      [{ name: "d", protocol: "UDP", port: 53 }],
    );
  });
});

describe("translateNamespace", () => {
  test("always carries its name as the label that Kubernetes gives it", () => {
    const labels = { team: "shop", "kubernetes.io/metadata.name": "lie" };
    assert.deepEqual(translateNamespace({ metadata: { name: "shop", labels } }), {
      name: "shop",
      labels: { team: "shop", "kubernetes.io/metadata.name": "shop" },
    });
  });

  test("is undefined without a name or with labels that make no sense", () => {
    assert.equal(translateNamespace({ metadata: {} }), undefined);
    assert.equal(translateNamespace({ metadata: { name: "shop", labels: { a: 1 } } }), undefined);
  });
});

describe("translateNode", () => {
  test("takes every InternalIP once, in the order given, and knows every address", () => {
    const addresses = [
      { type: "Hostname", address: "n1" },
      { type: "ExternalIP", address: "203.0.113.1" },
      { type: "InternalIP", address: "fd01::1" },
      { type: "InternalIP", address: "172.18.0.1" },
      { type: "InternalIP", address: "172.18.0.2" },
      { type: "InternalIP", address: "fd01::1" },
      { type: "InternalIP", address: "none" },
      null,
    ];
    const named = { name: "n1", labels: { role: "edge" } };
    assert.deepEqual(translateNode({ metadata: named, status: { addresses } }), {
      name: "n1",
      labels: { role: "edge" },
      addresses: ["fd01::1", "172.18.0.1", "172.18.0.2"],
      knownAddresses: ["203.0.113.1", "fd01::1", "172.18.0.1", "172.18.0.2"],
    });
  });

  test("is undefined without a name", () => {
    assert.equal(translateNode({}), undefined);
  });
});

describe("translateDomain", () => {
  test("takes VNI and pools", () => {
    const spec = { vni: 7, pools: ["10.0.0.0/16", 7] };
    const domain = translateDomain({ metadata: { name: "red" }, spec });
    assert.deepEqual(domain, { name: "red", vni: 7, pools: ["10.0.0.0/16"] });
  });

  test("takes what is not masqueraded", () => {
    const of = (masquerade: unknown): unknown =>
      translateDomain({ metadata: { name: "red" }, spec: { vni: 7, pools: [], masquerade } })
        ?.unmasqueraded;
    assert.equal(of(undefined), undefined);
    assert.equal(of({ enabled: true }), undefined);
    assert.deepEqual(of({ except: ["192.0.2.0/24", 7] }), ["192.0.2.0/24"]);
    assert.deepEqual(of({ enabled: false, except: ["192.0.2.0/24"] }), ["0.0.0.0/0", "::/0"]);
  });

  test("is undefined without a VNI of 24 bits", () => {
    for (const vni of [undefined, 0, -1, 1.5, "7", 2 ** 24]) {
      assert.equal(translateDomain({ metadata: { name: "red" }, spec: { vni } }), undefined);
    }
    assert.ok(translateDomain({ metadata: { name: "red" }, spec: { vni: 2 ** 24 - 1 } }));
  });
});

describe("translateCluster", () => {
  test("joins a pod with the Endpoint object of its namespace and name", () => {
    const { endpoints } = translateCluster([
      endpointOf("pay", "10.0.0.9"),
      pod,
      endpointOf("shop", "10.0.0.8"),
    ]);
    assert.deepEqual(endpoints[0]?.addresses, ["10.0.0.8"]);
  });

  test("takes an Endpoint object that is no pod's for itself, before a pod of its name", () => {
    const endpoint = {
      kind: "Endpoint",
      metadata: { namespace: "shop", name: "web", uid: "e", labels: { app: "vm" } },
      spec: {
        domain: "blue",
        node: "n1",
        addresses: ["10.1.0.9", "fd00::9"],
        mac: "0a:00:00:00:00:09",
        attachment: { kind: "VirtualMachine", name: "web-vm", uid: "v" },
      },
    };
    const namesake = { kind: "Pod", metadata: { namespace: "shop", name: "web" }, spec: {} };
    assert.deepEqual(translateCluster([namesake, endpoint]).endpoints, [
      {
        id: "shop/web",
        zone: "shop",
        labels: { app: "vm" },
        namedPorts: [],
        domain: "blue",
        addresses: ["10.1.0.9", "fd00::9"],
        mac: "0a:00:00:00:00:09",
        uids: ["e", "v"],
        node: "n1",
      },
    ]);
    for (const labels of [[], "x", { app: 1 }]) {
      const odd = { ...endpoint, metadata: { ...endpoint.metadata, labels } };
      assert.deepEqual(translateCluster([odd]).endpoints, []);
    }
  });

  test("passes over the Endpoint object of an earlier pod of the name", () => {
    assert.deepEqual(addressesBeside("new"), ["10.0.0.8"]);
    assert.deepEqual(addressesBeside("old"), ["10.0.0.1", "fd00::1"]);
  });

  test("collects the problems of policies by id", () => {
    const { policies, problems } = translateCluster([
      policy("good", {}),
      policy("bad", { ingress: [7] }),
    ]);
    assert.equal(policies.length, 2);
    assert.deepEqual([...problems.keys()], ["NetworkPolicy/shop/bad"]);
  });

  test("no JSON makes it fail", () => {
    const kinds = fc.constantFrom(
      "Pod",
      "Node",
      "Namespace",
      "NetworkPolicy",
      "Domain",
      "Endpoint",
      "Service",
    );
    const json = fc.jsonValue();
    const object = fc.record(
      {
        kind: kinds,
        metadata: fc.oneof(
          json,
          fc.record({ name: fc.oneof(json, fc.string()), namespace: json, labels: json }),
        ),
        spec: fc.oneof(
          json,
          fc.record({ containers: json, initContainers: json, nodeName: json, vni: json }),
        ),
        status: fc.oneof(json, fc.record({ podIPs: json, addresses: json, phase: json })),
      },
      { requiredKeys: ["kind"] },
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(object, json)), (objects) => {
        translateCluster(objects);
      }),
    );
  });
});
