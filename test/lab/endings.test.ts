// What policies mean for pods and namespaces that come and go, on real packets: those that are ending, have ended, have no
// address yet, or are relabelled. A pod runs on after its object says otherwise while the lab's daemon, which is its kubelet, is
// stopped; its sockets are the test's own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { KindDefinition } from "../../src/apimachinery/kind.ts";
import type { ObjectPlace } from "../../src/client/object-path.ts";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import { TestLab, until } from "./harness.ts";
import { Burst, Conversation, EchoServer, Ping, Sink } from "./traffic.ts";

const port = 7000;
const stack = new AsyncDisposableStack();
const prober = new Prober();
let lab: TestLab;

function pod(path: string, node: number, role: string): string {
  const [namespace = "", name = ""] = path.split("/");
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { role: ${role} } }
spec: { nodeName: node-${node}, containers: [{ name: main, image: any }] }
---`;
}

function namespaceOf(name: string, labels = "{}"): string {
  return `
apiVersion: v1
kind: Namespace
metadata: { name: ${name}, labels: ${labels} }
---`;
}

/** Only friends may use the servers, and only pods of namespaces with the purpose. */
function serverPolicy(path: string): string {
  const [place = "", name = ""] = path.split("/");
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: ${name}, namespace: ${place} }
spec:
  podSelector: { matchLabels: { role: server } }
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector: { matchLabels: { role: friend } }
          namespaceSelector: { matchExpressions: [{ key: purpose, operator: Exists }] }
---`;
}

function placeOf(path: string): { namespace: string; name: string } {
  const [place = "", name = ""] = path.split("/");
  return { namespace: place, name };
}

async function addressOf(path: string): Promise<string> {
  const { status } = await lab.client.get(podKind, placeOf(path));
  assert.ok(status?.podIP !== undefined, `${path} has an address`);
  return status.podIP;
}

async function reaches(from: string, to: string, timeoutMs = 400): Promise<boolean> {
  const netns = lab.podNetns(from);
  const { verdict } = await prober.probe({ netns, to, port, protocol: "tcp", timeoutMs });
  return verdict === "allowed";
}

async function patch(kind: KindDefinition, place: ObjectPlace, body: unknown): Promise<void> {
  await lab.client.patch(kind, place, { type: "merge-patch+json", body });
}

async function setRole(path: string, role: string): Promise<void> {
  await patch(podKind, placeOf(path), { metadata: { labels: { role } } });
}

/** As long as it is held, a deleted pod's object stays, with the time of its deletion. */
async function setHeld(path: string, isHeld: boolean): Promise<void> {
  const finalizers = isHeld ? ["example.com/hold"] : null;
  await patch(podKind, placeOf(path), { metadata: { finalizers } });
}

async function isAlive(conversation: Conversation): Promise<boolean> {
  const { answered } = conversation;
  await sleep(300);
  return conversation.answered > answered;
}

before(async () => {
  lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(
    [
      namespaceOf("shop", "{ purpose: shop }"),
      pod("shop/server", 1, "server"),
      pod("shop/near", 1, "friend"),
      pod("shop/far", 2, "friend"),
      pod("shop/stranger", 2, "stranger"),
      pod("shop/marker", 2, "stranger"),
      serverPolicy("shop/server"),
    ].join("\n"),
  );
  await lab.settle();
  stack.use(new EchoServer(lab.podNetns("shop/server"), port));
});

after(async () => await stack.disposeAsync());

test("a pod that is ending keeps its policies, and is a peer as before", async () => {
  const to = await addressOf("shop/server");
  const own = await addressOf("shop/far");
  using conversation = new Conversation("far", { netns: lab.podNetns("shop/far"), to, port });
  conversation.start(20);
  const ending = ["shop/server", "shop/far"];
  for (const path of ending) await setHeld(path, true);
  await lab.whileDown([], async () => {
    using servers = new DisposableStack();
    servers.use(new EchoServer(lab.podNetns("shop/far"), port));
    for (const path of ending) await lab.delete(podKind, placeOf(path));
    // News of pods come in their order.
    await setRole("shop/marker", "friend");
    await until("the marker's admission", async () => await reaches("shop/marker", to));
    for (const path of ending) {
      const { metadata } = await lab.client.get(podKind, placeOf(path));
      assert.ok(metadata.deletionTimestamp !== undefined);
    }
    assert.ok(await reaches("shop/far", to), "an ending pod as a peer");
    assert.ok(await reaches("shop/near", to), "an ending pod as a subject");
    assert.ok(!(await reaches("shop/stranger", to)), "its policy holds");
    assert.ok(await reaches("shop/stranger", own), "an ending pod without policies");
    assert.ok(!(await reaches("shop/server", own)), "its egress stays closed");
    assert.ok(await isAlive(conversation));
    for (const path of ending) await setHeld(path, false);
  });
  await until("the end of the pods", async () => {
    return (await lab.client.find(podKind, placeOf("shop/far"))) === undefined;
  });
  await setRole("shop/marker", "stranger");
  await lab.apply(pod("shop/server", 1, "server") + pod("shop/far", 2, "friend"));
  await lab.settle();
  stack.use(new EchoServer(lab.podNetns("shop/server"), port));
});

test("a pod that has ended is nobody, though it may still send", async () => {
  const to = await addressOf("shop/server");
  const own = await addressOf("shop/far");
  using conversation = new Conversation("far", { netns: lab.podNetns("shop/far"), to, port });
  conversation.start(20);
  await until("an answer", () => conversation.answered > 0);
  await lab.whileDown([], async () => {
    const place = { ...placeOf("shop/far"), subresource: "status" };
    await patch(podKind, place, { status: { phase: "Succeeded" } });
    await until("its end", async () => !(await reaches("shop/far", to)));
    await until("the end of its connection", async () => !(await isAlive(conversation)));
    assert.ok(!(await reaches("shop/near", own)));
    assert.ok(await reaches("shop/near", to), "others go on");
    await until("its address to be given back", async () => {
      return (await lab.client.find(endpointKind, placeOf("shop/far"))) === undefined;
    });
  });
  await lab.delete(podKind, placeOf("shop/far"));
  await lab.apply(pod("shop/far", 2, "friend"));
  await lab.settle();
  assert.ok(await reaches("shop/far", to));
  assert.notEqual(await addressOf("shop/far"), own, "the address rests");
});

test("a pod without an address is in nobody's way, and gets its policies with its address", async () => {
  const to = await addressOf("shop/server");
  await lab.apply(`
apiVersion: v1
kind: Pod
metadata: { name: waiting, namespace: shop, labels: { role: friend } }
spec:
  nodeSelector: { kubernetes.io/hostname: nowhere }
  containers: [{ name: main, image: any, ports: [{ name: echo, containerPort: 7000 }] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: named, namespace: shop }
spec:
  podSelector: { matchLabels: { role: friend } }
  policyTypes: [Ingress, Egress]
  ingress: [{ from: [{ podSelector: { matchLabels: { role: friend } } }], ports: [{ port: echo }] }]
  egress:
    - to: [{ podSelector: {} }]
      ports: [{ port: echo }, { port: 7000 }]
`);
  assert.ok(await reaches("shop/near", to), "by the number");
  const target = { apiVersion: "v1", kind: "Node", name: "node-1" };
  const metadata = { name: "waiting", namespace: "shop" };
  const path = "/api/v1/namespaces/shop/pods/waiting/binding";
  const body = { apiVersion: "v1", kind: "Binding", metadata, target };
  await lab.client.json("POST", path, { body });
  await lab.settle();
  const address = await addressOf("shop/waiting");
  assert.ok(await reaches("shop/near", address), "by the name");
  assert.ok(!(await reaches("shop/stranger", address)));
  assert.ok(await reaches("shop/waiting", to));
  await lab.delete(podKind, placeOf("shop/waiting"));
  await lab.delete(networkPolicyKind, placeOf("shop/named"));
  await lab.settle();
});

test("a namespace's labels decide about its pods' connections while they change", async () => {
  await lab.apply(namespaceOf("mon", "{ purpose: monitoring }") + pod("mon/probe", 2, "friend"));
  await lab.settle();
  const to = await addressOf("shop/server");
  using conversation = new Conversation("probe", { netns: lab.podNetns("mon/probe"), to, port });
  conversation.start(20);
  await until("an answer", () => conversation.answered > 0);
  await patch(namespaceKind, { name: "mon" }, { metadata: { labels: { purpose: null } } });
  await lab.settle();
  assert.ok(!(await isAlive(conversation)), "what was open is cut");
  assert.ok(!(await reaches("mon/probe", to)));
  assert.ok(await reaches("shop/near", to), "other namespaces go on");
  await patch(namespaceKind, { name: "mon" }, { metadata: { labels: { purpose: "again" } } });
  await lab.settle();
  assert.ok(await reaches("mon/probe", to));
  await lab.delete(namespaceKind, { name: "mon" });
});

test("pods of a namespace that is being deleted are never more open than before", async () => {
  await lab.apply(
    [
      namespaceOf("doomed", "{ purpose: none }"),
      pod("doomed/server", 1, "server"),
      pod("doomed/friend", 2, "friend"),
      serverPolicy("doomed/server"),
    ].join("\n"),
  );
  await lab.settle();
  await using cleanup = new AsyncDisposableStack();
  const use = <T extends Disposable>(one: T): T => cleanup.use(one);
  const netns = lab.podNetns("doomed/server");
  const to = await addressOf("doomed/server");
  const outward = await addressOf("shop/near");
  const forbidden = 7001;
  // Of the server's egress nothing is allowed, of its ingress what friends send.
  const sinks = [
    use(new Sink(netns, forbidden)),
    use(new Sink(lab.podNetns("shop/near"), forbidden)),
  ];
  const bursts = [
    use(new Burst({ netns: lab.podNetns("shop/stranger"), to, port: forbidden }, 2, 2)),
    use(new Burst({ netns, to: outward, port: forbidden }, 2, 2)),
  ];
  use(new EchoServer(netns, port));
  const talk = use(new Conversation("friend", { netns: lab.podNetns("doomed/friend"), to, port }));
  talk.start(20);
  const ping = use(new Ping("friend", { netns: lab.podNetns("doomed/friend"), to, port }));
  ping.start(20);
  await until("answers", () => talk.answered > 0 && ping.answered > 0);
  const pods = ["doomed/server", "doomed/friend"];
  for (const path of pods) await setHeld(path, true);
  await lab.whileDown([], async () => {
    await lab.delete(namespaceKind, { name: "doomed" });
    await until("the end of the policy", async () => {
      return (await lab.client.find(networkPolicyKind, placeOf("doomed/server"))) === undefined;
    });
    await until("the end of the endpoint", async () => {
      return (await lab.client.find(endpointKind, placeOf("doomed/server"))) === undefined;
    });
    await setRole("shop/marker", "friend");
    const server = await addressOf("shop/server");
    await until("the marker's admission", async () => await reaches("shop/marker", server));
    assert.ok(await isAlive(talk), "an open connection goes on");
    assert.ok(await reaches("doomed/friend", to), "a new one opens");
    // One pod may end long before the other.
    await setHeld("doomed/friend", false);
    await setRole("shop/marker", "stranger");
    await until("the marker's denial", async () => !(await reaches("shop/marker", server)));
    await sleep(300);
    await setHeld("doomed/server", false);
  });
  await until("the end of the namespace", async () => {
    return (await lab.client.find(namespaceKind, { name: "doomed" })) === undefined;
  });
  assert.ok(bursts.every(({ sent }) => sent > 100));
  assert.deepEqual(
    sinks.map(({ received }) => received),
    [0, 0],
  );
  await lab.settle();
  for (const node of lab.nodes) {
    const { endpoints } = await lab.agentStatus(node);
    assert.deepEqual(
      endpoints.filter(({ id }) => id.startsWith("doomed/")),
      [],
    );
  }
});

test("a pod on its node's network is a peer by the node's address, and by no selector", async () => {
  await lab.apply(`
apiVersion: v1
kind: Pod
metadata: { name: host, namespace: shop, labels: { role: friend } }
spec: { nodeName: node-2, hostNetwork: true, containers: [{ name: main, image: any }] }
`);
  await lab.settle();
  const to = await addressOf("shop/server");
  const own = await addressOf("shop/host");
  const verdictFrom = async (from: string): Promise<string | undefined> => {
    const [result] = await lab.probe([{ from, to, protocol: "tcp", port, family: 4 }]);
    return result?.verdict;
  };
  assert.equal(await verdictFrom("node-2"), "denied", "by its label");
  assert.equal(await verdictFrom("node-1"), "allowed", "the pod's own node");
  await lab.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: host, namespace: shop }
spec:
  podSelector: { matchLabels: { role: server } }
  ingress: [{ from: [{ ipBlock: { cidr: ${own}/32 } }] }]
`);
  await lab.settle();
  assert.equal(await verdictFrom("node-2"), "allowed", "by its address");
  await lab.delete(networkPolicyKind, placeOf("shop/host"));
  await lab.delete(podKind, placeOf("shop/host"));
  await lab.settle();
});

test("policies see a Service's pods and their port, and not its own address and port", async () => {
  await lab.apply(`
apiVersion: v1
kind: Service
metadata: { name: server, namespace: shop }
spec:
  clusterIP: 10.96.0.20
  selector: { role: server }
  ports: [{ port: 80, targetPort: ${port} }]
`);
  await lab.settle();
  const egress = async (cidr: string, number: number): Promise<string | undefined> => {
    await lab.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: egress, namespace: shop }
spec:
  podSelector: { matchLabels: { role: friend } }
  policyTypes: [Egress]
  egress: [{ to: [{ ipBlock: { cidr: ${cidr} } }], ports: [{ port: ${number} }] }]
`);
    await lab.settle();
    const probe = { to: "10.96.0.20", port: 80, protocol: "tcp", family: 4 } as const;
    const [result] = await lab.probe([{ from: "shop/far", ...probe }]);
    return result?.verdict;
  };
  const backend = await addressOf("shop/server");
  assert.equal(await egress("10.96.0.20/32", 80), "denied");
  assert.equal(await egress("10.96.0.20/32", port), "denied");
  assert.equal(await egress(`${backend}/32`, 80), "denied");
  assert.equal(await egress(`${backend}/32`, port), "allowed");
});
