// Domain names as destinations, with a real DNS server in a pod and real connections to hosts outside.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type Question, decode, encode } from "dns-packet";
import { clusterNetworkPolicyKind } from "../../src/kinds/cluster-network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import { connectTcp, openUdp } from "../../src/lab/network/native.ts";
import { UpstreamServer } from "./dns-upstream.ts";
import { TestLab, until } from "./harness.ts";
import { Conversation, EchoServer } from "./traffic.ts";

const stack = new AsyncDisposableStack();
const prober = new Prober();
const [internet, bank, office] = ["198.51.100.10", "192.0.2.10", "203.0.113.10"] as const;
let lab: TestLab;
let server: UpstreamServer;

function pod(name: string, node: number): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec: { nodeName: node-${node}, containers: [{ name: main, image: any }] }
---`;
}

const policies = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: names }
spec:
  tier: Admin
  priority: 10
  subject: { pods: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: shop } }, podSelector: { matchExpressions: [{ key: app, operator: In, values: [client, other, late] }] } } }
  egress:
    - name: resolver
      action: Accept
      to: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: dns } } } }]
      protocols: [{ udp: { destinationPort: { number: 53 } } }]
    - name: partners
      action: Accept
      to: [{ domainNames: [www.partner.test, "*.cdn.test"] }]
    - name: nothing else
      action: Deny
      to: [{ networks: [0.0.0.0/0, "::/0"] }]
`;

async function addressOf(name: string): Promise<string> {
  const { status } = await lab.client.get(podKind, { namespace: "shop", name });
  return status?.podIP ?? "";
}

/** Asks once and again as a resolver does. @returns the addresses */
async function lookUp(from: string, name: string, type: "A" | "AAAA" = "A"): Promise<string[]> {
  const to = await addressOf("dns");
  const socket = createSocket("udp4");
  socket.bind({ fd: openUdp(lab.podNetns(`shop/${from}`), 4) });
  try {
    const answered = Promise.withResolvers<string[]>();
    socket.on("message", (bytes) => {
      const { answers = [], questions = [] } = decode(bytes);
      if (questions[0]?.name !== name) return;
      answered.resolve(
        answers.flatMap((each) => (each.type === "A" || each.type === "AAAA" ? [each.data] : [])),
      );
    });
    const question = encode({ type: "query", id: 7, questions: [{ type, name }] });
    for (let attempt = 0; attempt < 20; attempt++) {
      socket.send(question, 53, to);
      const found = await Promise.race([answered.promise, sleep(1_000, undefined)]);
      if (found !== undefined) return found;
    }
    throw new Error(`no answer for ${name}`);
  } finally {
    socket.close();
  }
}

async function passes(from: string, to: string, port = 443): Promise<boolean> {
  const netns = lab.podNetns(`shop/${from}`);
  const { verdict } = await prober.probe({ netns, to, port, protocol: "tcp", timeoutMs: 2_000 });
  return verdict === "allowed";
}

/** With a single attempt, so that a first packet that is lost costs the kernel's whole second. */
async function connectMs(from: string, to: string): Promise<number> {
  const begun = performance.now();
  const socket = new Socket({ fd: connectTcp(lab.podNetns(`shop/${from}`), to, 443) });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      const timer = setInterval(() => {
        if (socket.readyState === "open" && !socket.pending) {
          clearInterval(timer);
          resolve();
        }
      }, 5);
      socket.write("x", () => {
        clearInterval(timer);
        resolve();
      });
    });
    return performance.now() - begun;
  } finally {
    socket.destroy();
  }
}

before(async () => {
  process.env["ISOBAR_DNS_MINIMUM_TTL"] = "2";
  lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(
    [
      "apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n---",
      pod("client", 1),
      pod("other", 1),
      pod("dns", 2),
    ].join("\n"),
  );
  await lab.settle();
  server = stack.use(new UpstreamServer(lab.podNetns("shop/dns")));
  await lab.apply(policies);
  await lab.settle();
});

after(async () => await stack.disposeAsync());

describe("an address behind a name", () => {
  test("is closed before the pod has looked the name up", async () => {
    assert.equal(await passes("client", internet), false);
  });

  test("is open to the first packet after the answer, and only to the pod that asked", async () => {
    server.set("www.partner.test", [internet], [], 3_600);
    assert.deepEqual(await lookUp("client", "www.partner.test"), [internet]);
    assert.equal(await passes("client", internet), true);
    assert.equal(await passes("client", bank), false);
    assert.equal(await passes("other", internet), false);
  });

  test("is open at once: the first packet is not lost", async () => {
    const times: number[] = [];
    for (let attempt = 0; attempt < 5 && !times.some((each) => each < 900); attempt++) {
      const name = `host${attempt}.cdn.test`;
      // The address is as good as new: what was learnt for it before has ended.
      server.set(name, [office]);
      await until("the end of what was learnt", async () => !(await passes("other", office)));
      await lookUp("other", name);
      times.push(await connectMs("other", office));
    }
    assert.ok(
      times.some((each) => each < 900),
      `connected after ${times.join(", ")} ms`,
    );
  });

  test("is reached through aliases and wildcards", async () => {
    server.set("a.b.cdn.test", [bank], ["edge.elsewhere.test", "host.elsewhere.test"], 60);
    await lookUp("client", "a.b.cdn.test");
    assert.equal(await passes("client", bank), true);
  });

  test("is closed where no rule names the name, whatever answers say", async () => {
    server.set("edge.elsewhere.test", [office]);
    assert.deepEqual(await lookUp("client", "edge.elsewhere.test"), [office]);
    assert.equal(await passes("client", office), false);
  });

  test("is closed when the answer is to no question that was asked", async () => {
    server.set("x.other.test", [internet]);
    server.extra = (id) => {
      const answers: Answer[] = [{ type: "A", name: "www.partner.test", ttl: 60, data: office }];
      const questions: Question[] = [{ type: "A", name: "www.partner.test" }];
      return [
        encode({ type: "response", id, questions, answers }),
        encode({ type: "response", id: id + 1, questions, answers }),
      ];
    };
    await lookUp("client", "x.other.test");
    server.extra = undefined;
    assert.equal(await passes("client", office), false);
  });

  test("is closed after its time to live, which is never less than the least that is set", async () => {
    server.set("short.cdn.test", [office], [], 1);
    await lookUp("client", "short.cdn.test");
    assert.equal(await passes("client", office), true);
    await until("the end of the address", async () => !(await passes("client", office)));
  });
});

test("a connection outlives its name's time to live, and reviews after other changes", async () => {
  stack.use(new EchoServer(externalNetns("office"), 7003));
  server.set("long.cdn.test", [office], [], 1);
  await lookUp("client", "long.cdn.test");
  using talk = new Conversation("talk", {
    netns: lab.podNetns("shop/client"),
    to: office,
    port: 7003,
  });
  talk.start(50);
  await until("an answer", () => talk.answered > 0);
  await until("the end of the address", async () => !(await passes("client", office, 7003)));
  const unrelated = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: unrelated, namespace: shop }
spec: { podSelector: { matchLabels: { app: dns } }, ingress: [{}] }
`;
  await lab.apply(unrelated);
  await lab.apply(
    unrelated.replace("ingress: [{}]", "ingress: [{ ports: [{ protocol: UDP, port: 53 }] }]"),
  );
  await lab.settle();
  const { answered } = talk;
  await until("more answers", () => talk.answered > answered + 20);
  assert.equal(talk.ended, undefined);
});

test("without an agent known addresses stay open, and lookups go on without being learnt", async () => {
  server.set("kept.cdn.test", [bank], [], 3_600);
  await lookUp("client", "kept.cdn.test");
  assert.equal(await passes("client", bank), true);
  stack.use(new EchoServer(externalNetns("bank"), 7003));
  await lab.whileDown(["agent-node-1", "controller"], async () => {
    using talk = new Conversation("headless", {
      netns: lab.podNetns("shop/client"),
      to: bank,
      port: 7003,
    });
    talk.start(50);
    await until("an answer without an agent", () => talk.answered > 0);
    server.set("www.partner.test", [office], [], 60);
    // Answers are held back for some seconds yet, for an agent that is not there.
    assert.deepEqual(await lookUp("client", "www.partner.test"), [office]);
  });
  assert.equal(await passes("client", bank), true, "known again after the start");
  assert.equal(await passes("client", office), false);
  await lookUp("client", "www.partner.test");
  assert.equal(await passes("client", office), true);
});

test("a policy that names no names any more closes what was learnt", async () => {
  assert.equal(await passes("client", bank), true);
  const body = [{ op: "remove", path: "/spec/egress/1" }];
  await lab.client.patch(
    clusterNetworkPolicyKind,
    { name: "names" },
    { type: "json-patch+json", body },
  );
  await lab.settle();
  assert.equal(await passes("client", bank), false);
});

function externalNetns(name: string): string {
  return lab.nodeNetns("node-1").replace("node.node-1", `external.${name}`);
}
