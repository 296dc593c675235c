// Services on real packets over three nodes: who answers at a virtual address, and what policies say about it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deploymentKind } from "../../src/kinds/deployment.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import type { ProbeResult, ProbeSpec } from "../../src/lab/protocol.ts";
import { TestLab, until } from "./harness.ts";

const vip = { 4: "10.96.0.10", 6: "fd00:10:96::10" } as const;
const replicas = 3;

const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: isobar.io/listener
          ports: [{containerPort: 8080}, {containerPort: 5353, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec:
  clusterIPs: ["${vip[4]}", "${vip[6]}"]
  clusterIP: "${vip[4]}"
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports:
    - {name: http, port: 80, targetPort: 8080}
    - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
${["node-1", "node-2", "node-3"]
  .map(
    (node, index) => `---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: client-${index + 1}, labels: {app: client}}
spec: {nodeName: ${node}, containers: [{name: client, image: isobar.io/listener}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: other-${index + 1}, labels: {app: other}}
spec: {nodeName: ${node}, containers: [{name: other, image: isobar.io/listener}]}
`,
  )
  .join("")}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: outside}
spec:
  clusterIP: 10.96.0.11
  ports: [{port: 8000}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: outside, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
ports: [{name: "", port: 80}]
endpoints: [{addresses: ["203.0.113.10"]}]
`;

const stack = new AsyncDisposableStack();
let lab: TestLab;

before(async () => {
  lab = stack.use(await TestLab.start());
  await lab.apply(objects);
  await lab.settle();
});
after(async () => await stack.disposeAsync());

function to(from: string, changes: Partial<ProbeSpec> = {}): ProbeSpec {
  const { family = 4 } = changes;
  return { from, to: vip[family], protocol: "tcp", port: 80, family, ...changes };
}

async function verdicts(...probes: readonly ProbeSpec[]): Promise<readonly string[]> {
  return (await lab.probe(probes)).map(({ verdict }) => verdict);
}

async function webPods(): Promise<readonly string[]> {
  const { items } = await lab.client.list(podKind, { namespace: "shop" });
  return items
    .map(({ metadata }) => metadata.name)
    .filter((name) => name.startsWith("web-"))
    .map((name) => `shop/${name}`);
}

function answerers(results: readonly ProbeResult[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { answeredBy = "nobody" } of results) {
    counts.set(answeredBy, (counts.get(answeredBy) ?? 0) + 1);
  }
  return counts;
}

test("every backend answers connections to the virtual address, from every node, about as often", async () => {
  for (const family of [4, 6] as const) {
    const probes = [1, 2, 3].flatMap((node) =>
      Array.from({ length: 100 }, () => to(`shop/client-${node}`, { family })),
    );
    const counts = answerers(await lab.probe(probes));
    assert.equal(counts.size, replicas, JSON.stringify([...counts]));
    // Of 300 fair choices among three each gets 100 ± 8.2; six deviations miss once in 10^9.
    for (const count of counts.values()) assert.ok(Math.abs(count - 100) < 49, [...counts].join());
  }
});

test("UDP is balanced as TCP is, and ports without a service are refused at once", async () => {
  const udp = Array.from({ length: 60 }, () => to("shop/client-1", { protocol: "udp", port: 53 }));
  assert.equal(answerers(await lab.probe(udp)).size, replicas);
  const closed = (["shop/client-1", "node-2"] as const).flatMap((from) =>
    ([4, 6] as const).flatMap((family) =>
      (["tcp", "udp"] as const).map((protocol) => to(from, { port: 8080, protocol, family })),
    ),
  );
  assert.deepEqual(new Set(await verdicts(...closed)), new Set(["refused"]));
});

test("every backend reaches itself by way of the service, whatever its policies say", async () => {
  await lab.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: alone}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}
`);
  await lab.settle();
  const backends = await webPods();
  assert.equal(backends.length, replicas);
  for (const family of [4, 6] as const) {
    for (const from of backends) {
      const tcp = Array.from({ length: 12 }, () => to(from, { family }));
      const reached = answerers(
        (await lab.probe(tcp)).filter(({ verdict }) => verdict === "allowed"),
      );
      assert.deepEqual([...reached.keys()], [from], "others are kept from it");
      const udp = Array.from({ length: 12 }, () => to(from, { family, protocol: "udp", port: 53 }));
      assert.ok(answerers(await lab.probe(udp)).has(from));
    }
  }
  await lab.delete(networkPolicyKind, { namespace: "shop", name: "alone" });
  await lab.settle();
});

test("the node itself reaches the virtual address", async () => {
  const probes = ["node-1", "node-2", "node-3"].map((node) => to(node));
  assert.deepEqual(await verdicts(...probes), ["allowed", "allowed", "allowed"]);
});

test("policies judge the connection as one to the pod and the port that it reaches", async () => {
  await lab.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8080}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: clients}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]
`);
  await lab.settle();
  const clients = [1, 2, 3].map((node) => to(`shop/client-${node}`));
  const others = [1, 2, 3].map((node) => to(`shop/other-${node}`));
  assert.deepEqual(await verdicts(...clients), ["allowed", "allowed", "allowed"]);
  assert.deepEqual(await verdicts(...others), ["denied", "denied", "denied"]);
  const dns = to("shop/client-1", { protocol: "udp", port: 53 });
  assert.deepEqual(await verdicts(dns), ["denied"]);
  for (const name of ["web", "clients"]) {
    await lab.delete(networkPolicyKind, { namespace: "shop", name });
  }
  await lab.settle();
});

test("a backend outside the overlay is reached by way of the client's node", async () => {
  const probe = to("shop/client-2", { to: "10.96.0.11", port: 8000 });
  const [result] = await lab.probe([probe]);
  assert.equal(result?.verdict, "allowed", JSON.stringify(result));
});

test("backends that go are not chosen any more, and without any nothing answers", async () => {
  const scale = async (count: number): Promise<void> => {
    const place = { namespace: "shop", name: "web" };
    const body = { spec: { replicas: count } };
    await lab.client.patch(deploymentKind, place, { type: "merge-patch+json", body });
    await lab.settle();
  };
  const chosen = async (): Promise<number> => {
    const probes = Array.from({ length: 30 }, () => to("shop/client-3"));
    const results = await lab.probe(probes);
    return results.every(({ verdict }) => verdict === "allowed") ? answerers(results).size : 0;
  };
  await scale(1);
  await until("one backend", async () => (await chosen()) === 1);
  await scale(0);
  await until("no backend", async () => (await verdicts(to("shop/client-3")))[0] === "refused");
  await scale(2);
  await until("two backends", async () => (await chosen()) === 2);
});
