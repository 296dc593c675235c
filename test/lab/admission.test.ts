// When policies begin to hold for a pod, and what becomes of connections when policies change.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { LabError } from "../../src/lab/errors.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import { runCommand, runIp } from "../../src/runtime/command.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { TestLab, until } from "./harness.ts";
import { Burst, Conversation, EchoServer, Ping, Sink } from "./traffic.ts";

const ports = { denied: 7001, allowed: 7002, echo: 7003, other: 7004 } as const;
const stack = new AsyncDisposableStack();
const prober = new Prober();
let lab: TestLab;

function pod(name: string, node: number, labels: string): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: ${labels} }
spec: { nodeName: node-${node}, containers: [{ name: main, image: any }] }
---`;
}

/** Every newcomer is an identity of its own, which no node knows before the first pod of it. */
const policies = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: newcomers, namespace: shop }
spec:
  podSelector: { matchExpressions: [{ key: newcomer, operator: Exists }] }
  policyTypes: [Ingress, Egress]
  ingress: [{ ports: [{ protocol: UDP, port: ${ports.allowed} }] }]
  egress: [{ ports: [{ protocol: UDP, port: ${ports.allowed} }] }]
`;

/** `peers` may use the echo server, by rules of their own. */
function echoPolicy(peers: readonly string[]): string {
  const rules = peers.map(
    (role) => `
    - from: [{ podSelector: { matchLabels: { role: ${role} } } }]
      ports: [{ protocol: TCP, port: ${ports.echo} }, { protocol: UDP, port: ${ports.echo} }]`,
  );
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: echo, namespace: shop }
spec:
  podSelector: { matchLabels: { role: server } }
  ingress: ${rules.join("") || "[]"}
`;
}

async function addressesOf(name: string): Promise<readonly string[]> {
  const { status } = await lab.client.get(podKind, { namespace: "shop", name });
  return status?.podIPs?.map(({ ip }) => ip) ?? [];
}

async function addressOf(name: string, family: 4 | 6 = 4): Promise<string> {
  const all = await addressesOf(name);
  const found = all.find((address) => address.includes(":") === (family === 6));
  assert.ok(found !== undefined, `${name} has an IPv${family} address`);
  return found;
}

function netnsOf(name: string): string {
  return lab.podNetns(`shop/${name}`);
}

/** Makes something in a network namespace at the first moment at which there is one. */
async function asSoonAsThereIs<T>(netns: string, make: () => T): Promise<T> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    try {
      if (existsSync(netns)) return make();
    } catch (error) {
      // ip-netns(8) makes the file first and then lets it be the namespace.
      if (!(error instanceof LabError)) throw error;
    }
    await sleep(1);
  }
  throw new Error(`${netns} did not come`);
}

before(async () => {
  lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(`
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---${pod("server", 1, "{ role: server }")}${pod("near", 1, "{ role: near }")}${pod("far", 2, "{ role: far }")}
${policies}`);
  await lab.settle();
  stack.use(new EchoServer(netnsOf("server"), ports.echo));
});

after(async () => await stack.disposeAsync());

test("a pod that sends and is sent to from its first moment gets no packet past its policies", async (t) => {
  await using cleanup = new AsyncDisposableStack();
  const use = <T extends Disposable>(one: T): T => cleanup.use(one);
  const names = Array.from({ length: 10 }, (_, index) => `newcomer-${index}`);
  const targets = { server: await addressOf("server"), far: await addressOf("far", 6) };
  const outgoing = {
    denied: (["server", "far"] as const).map((name) => use(new Sink(netnsOf(name), ports.denied))),
    allowed: (["server", "far"] as const).map((name) =>
      use(new Sink(netnsOf(name), ports.allowed)),
    ),
  };
  // The addresses that the newcomers will have are the next ones.
  const last = Number((await addressOf("far")).split(".")[3]);
  const prefix = (await addressOf("far")).replace(/\.\d+$/, "");
  const guessed = Array.from({ length: 24 }, (_, index) => `${prefix}.${last + 1 + index}`);
  const incoming = guessed.flatMap((to) =>
    [ports.denied, ports.allowed].map((port) =>
      use(new Burst({ netns: netnsOf("near"), to, port }, 1, 4)),
    ),
  );
  await lab.apply(
    names.map((name, index) => pod(name, 1 + (index % 2), `{ newcomer: n${index} }`)).join(""),
  );
  const arrivals = await Promise.all(
    names.map(async (name) => {
      const netns = netnsOf(name);
      return await asSoonAsThereIs(netns, () => {
        const route = (to: string, port: number) => ({ netns, to, port });
        const bursts = Object.values(targets).flatMap((to) => [
          use(new Burst(route(to, ports.denied), 2, 1)),
          use(new Burst(route(to, ports.allowed), 1, 2)),
        ]);
        return {
          bursts,
          denied: use(new Sink(netns, ports.denied)),
          allowed: use(new Sink(netns, ports.allowed)),
        };
      });
    }),
  );
  await lab.settle();
  await sleep(500);
  const addresses = await Promise.all(names.map(async (name) => await addressOf(name)));
  assert.ok(
    addresses.every((address) => guessed.includes(address)),
    "the addresses were guessed",
  );
  const sent = arrivals.flatMap(({ bursts }) => bursts).reduce((sum, one) => sum + one.sent, 0);
  const offered = incoming.reduce((sum, one) => sum + one.sent, 0);
  t.diagnostic(`${sent} datagrams sent by ${names.length} newcomers, ${offered} to them`);
  assert.deepEqual(
    arrivals.map(({ denied }) => denied.received),
    names.map(() => 0),
  );
  assert.deepEqual(
    outgoing.denied.map(({ received }) => received),
    [0, 0],
  );
  assert.ok(arrivals.every(({ allowed }) => allowed.received > 0));
  assert.ok(outgoing.allowed.every(({ received }) => received > 0));
  for (const name of names) await lab.delete(podKind, { namespace: "shop", name });
  await lab.settle();
});

test("a pod that sends to the node's own MAC address gets no further than by the router's", async () => {
  await using cleanup = new AsyncDisposableStack();
  await lab.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: closed, namespace: shop }
spec: { podSelector: { matchLabels: { role: near } }, policyTypes: [Egress] }
`);
  await lab.settle();
  const [host] = (await lab.status()).externalHosts;
  assert.ok(host !== undefined);
  const sinks = [
    cleanup.use(new Sink(lab.nodeNetns("node-1"), ports.denied)),
    cleanup.use(
      new Sink(`/run/netns/isobar-${lab.paths.name}.external.${host.name}`, ports.denied),
    ),
  ];
  const links = await runCommand([
    "nsenter",
    `--net=${lab.nodeNetns("node-1")}`,
    "ip",
    "-o",
    "link",
  ]);
  const macs = [...links.matchAll(/ iso[0-9a-f]{12}@.*link\/ether (\S+)/g)].map(([, mac]) => mac);
  assert.equal(macs.length, 2);
  const netns = `isobar-${lab.paths.name}.pod.shop.near`;
  for (const mac of [...macs, "ff:ff:ff:ff:ff:ff"]) {
    await runIp(
      [
        `neigh replace 169.254.1.1 lladdr ${mac} dev eth0`,
        `neigh replace fe80::1 lladdr ${mac} dev eth0`,
      ],
      netns,
    );
    using bursts = new DisposableStack();
    for (const to of ["172.30.0.10", "fd00:30::a", ...host.addresses]) {
      bursts.use(new Burst({ netns: netnsOf("near"), to, port: ports.denied }, 1, 2));
    }
    await sleep(200);
  }
  assert.deepEqual(
    sinks.map(({ received }) => received),
    [0, 0],
  );
  await lab.delete(networkPolicyKind, { namespace: "shop", name: "closed" });
  await runIp(["neigh del 169.254.1.1 dev eth0", "neigh del fe80::1 dev eth0"], netns);
  await lab.settle();
});

test("a connection ends with the rule that admits it, and another rule's goes on", async (t) => {
  await using cleanup = new AsyncDisposableStack();
  await lab.apply(echoPolicy(["near", "far"]));
  await lab.settle();
  const to = await addressOf("server");
  const routeOf = (name: string) => ({ netns: netnsOf(name), to, port: ports.echo });
  const [near, far] = ["near", "far"].map((name) => {
    const conversation = cleanup.use(new Conversation(name, routeOf(name)));
    return { conversation, ping: cleanup.use(new Ping(name, routeOf(name))) };
  });
  assert.ok(near && far);
  for (const { conversation, ping } of [near, far]) {
    conversation.start(10);
    ping.start(10);
  }
  const isAnswered = ({ conversation, ping }: typeof near): boolean =>
    conversation.answered > 5 && ping.answered > 5;
  await until("answers", () => isAnswered(near) && isAnswered(far));
  const isAlive = async ({ conversation, ping }: typeof near): Promise<boolean[]> => {
    const [answers, pings] = [conversation.answered, ping.answered];
    await sleep(300);
    return [conversation.answered > answers, ping.answered > pings];
  };

  const changedAt = performance.now();
  await lab.apply(echoPolicy(["near"]));
  await until("the end of what is not allowed any more", async () => {
    const [answers, pings] = [far.conversation.answered, far.ping.answered];
    await sleep(50);
    return answers === far.conversation.answered && pings === far.ping.answered;
  });
  t.diagnostic(
    `cut ${Math.round(performance.now() - changedAt) - 50} ms after the policy's change`,
  );
  await lab.settle();
  assert.deepEqual(await isAlive(near), [true, true]);
  assert.deepEqual(await isAlive(far), [false, false]);

  await lab.apply(echoPolicy(["near", "far"]));
  await lab.settle();
  const anew = cleanup.use(new Ping("far", routeOf("far")));
  anew.start(10);
  await until("answers by a new socket", () => anew.answered > 5);
  // The old socket has the old port, and has never stopped sending.
  await until("answers by the old socket", async () => (await isAlive(far))[1] === true);
  assert.deepEqual(await isAlive(near), [true, true]);
});

test("a node confirms a denial only when its datapath has forgotten what was allowed", async () => {
  await lab.apply(echoPolicy(["near", "far"]));
  await lab.settle();
  const to = await addressOf("server");
  const connects = async (timeoutMs: number): Promise<boolean> => {
    const target = { netns: netnsOf("far"), to, port: ports.echo };
    const { verdict } = await prober.probe({ ...target, protocol: "tcp", timeoutMs });
    return verdict === "allowed";
  };
  assert.ok(await connects(1_000));
  const tell = async (command: string): Promise<void> => {
    for (const node of lab.nodes) {
      await unixctl(join(lab.nodeDirectory(node), "ovs-vswitchd.ctl"), command);
    }
  };
  await tell("revalidator/pause");
  try {
    await lab.apply(echoPolicy(["near"]));
    await assert.rejects(lab.settle(2_000), /every node has confirmed its policies/);
    assert.ok(await connects(1_000), "the datapath goes by what it remembers");
  } finally {
    await tell("revalidator/resume");
  }
  await lab.settle();
  assert.ok(!(await connects(500)));
});

test("a connection ends when its pod loses the label that admits it", async () => {
  await using cleanup = new AsyncDisposableStack();
  await lab.apply(echoPolicy(["far"]));
  await lab.settle();
  const route = { netns: netnsOf("far"), to: await addressOf("server"), port: ports.echo };
  const conversation = cleanup.use(new Conversation("far", route));
  conversation.start(10);
  await until("answers", () => conversation.answered > 5);
  const place = { namespace: "shop", name: "far" };
  const relabel = async (role: string): Promise<void> => {
    const body = { metadata: { labels: { role } } };
    await lab.client.patch(podKind, place, { type: "merge-patch+json", body });
    await lab.settle();
  };
  await relabel("nobody");
  await until("the end of the connection", async () => {
    const { answered } = conversation;
    await sleep(100);
    return answered === conversation.answered;
  });
  await relabel("far");
});

test("a connection whose rule goes while its agents are down ends when they are back", async () => {
  await using cleanup = new AsyncDisposableStack();
  await lab.apply(echoPolicy(["near", "far"]));
  await lab.settle();
  const to = await addressOf("server");
  const [near, far] = ["near", "far"].map((name) =>
    cleanup.use(new Conversation(name, { netns: netnsOf(name), to, port: ports.echo })),
  );
  assert.ok(near && far);
  for (const conversation of [near, far]) conversation.start(10);
  await until("answers", () => near.answered > 5 && far.answered > 5);
  await lab.whileDown(["agent-node-1", "agent-node-2"], async () => {
    await lab.apply(echoPolicy(["near"]));
    const { answered } = far;
    await sleep(300);
    assert.ok(far.answered > answered);
  });
  await until("the end of the connection", async () => {
    const { answered } = far;
    await sleep(100);
    return answered === far.answered;
  });
  const { answered } = near;
  await sleep(100);
  assert.ok(near.answered > answered);
});
