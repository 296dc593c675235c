import assert from "node:assert/strict";
import { test } from "node:test";
import { explainService, formatServiceExplanation, serviceTargetOf } from "./explain-service.ts";

function pod(name: string, address: string, nodeName: string, app: string): unknown {
  return {
    kind: "Pod",
    metadata: { namespace: "shop", name, uid: name, labels: { app } },
    spec: { nodeName, containers: [] },
    status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] },
  };
}

function endpoint(address: string, nodeName: string): unknown {
  return { addresses: [address], nodeName, conditions: { ready: true } };
}

const objects: readonly unknown[] = [
  { kind: "Namespace", metadata: { name: "shop" } },
  { kind: "Domain", metadata: { name: "default" }, spec: { vni: 1, pools: ["10.0.0.0/16"] } },
  ...["n1", "n2"].map((name) => ({ kind: "Node", metadata: { name }, status: { addresses: [] } })),
  pod("client", "10.0.0.1", "n1", "client"),
  pod("open", "10.0.0.2", "n1", "open"),
  pod("closed", "10.0.0.3", "n2", "closed"),
  {
    kind: "Service",
    metadata: { namespace: "shop", name: "web" },
    spec: { clusterIPs: ["10.96.0.5"], ports: [{ name: "http", port: 80 }] },
  },
  {
    kind: "EndpointSlice",
    metadata: { namespace: "shop", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints: [endpoint("10.0.0.2", "n1"), endpoint("10.0.0.3", "n2")],
  },
  {
    kind: "NetworkPolicy",
    metadata: { namespace: "shop", name: "closed" },
    spec: { podSelector: { matchLabels: { app: "closed" } }, policyTypes: ["Ingress"] },
  },
];

const target = { namespace: "shop", name: "web" };
const asked = {
  source: { kind: "endpoint", id: "shop/client" },
  service: { protocol: "TCP", destinationPort: 80 },
} as const;

test("says of each endpoint what the policies say, with its own port", () => {
  const explanation = explainService(objects, target, asked);
  assert.equal(explanation.verdict, "part");
  assert.deepEqual(
    explanation.backends.map((each) => [each.pod, each.port, each.node, each.explanation.verdict]),
    [
      ["shop/open", 8080, "n1", "allow"],
      ["shop/closed", 8080, "n2", "deny"],
    ],
  );
  const text = formatServiceExplanation(
    { source: "shop/client", destination: "svc/shop/web", port: "tcp/80" },
    explanation,
  );
  assert.match(text, /^ALLOWED IN PART {2}shop\/client -> svc\/shop\/web tcp\/80\n/);
  assert.match(text, /Service shop\/web, port http \(TCP\) at 10\.96\.0\.5 port 80: 2 endpoints/);
  assert.match(text, /each connection goes to one of 2/);
  assert.match(text, /DENIED {2}shop\/closed \(10\.0\.0\.3 port 8080\) on n2\n.*\n.*isolated by/);
});

test("names the endpoint that every connection goes to, where there is one", () => {
  const local = objects.map((object) =>
    typeof object === "object" && object !== null && "kind" in object && object.kind === "Service"
      ? {
          ...object,
          spec: {
            clusterIPs: ["10.96.0.5"],
            ports: [{ name: "http", port: 80 }],
            internalTrafficPolicy: "Local",
          },
        }
      : object,
  );
  const { verdict, text } = explainService(local, target, asked);
  assert.equal(verdict, "allow");
  assert.deepEqual(text, [
    "Service shop/web, port http (TCP) at 10.96.0.5 port 80: 2 endpoints, of which those on n1 count",
    "every connection goes to shop/open (10.0.0.2 port 8080)",
  ]);
});

test("a Service's address means the Service, and other ports are named", () => {
  assert.deepEqual(serviceTargetOf(objects, "10.96.0.5"), target);
  assert.deepEqual(serviceTargetOf(objects, "svc/shop/web"), target);
  assert.equal(serviceTargetOf(objects, "10.0.0.2"), undefined);
  assert.throws(() => serviceTargetOf(objects, "svc/shop/none"), /no Service shop\/none/);
  const other = { ...asked, service: { protocol: "TCP", destinationPort: 81 } as const };
  assert.throws(() => explainService(objects, target, other), /has only tcp\/80/);
});
