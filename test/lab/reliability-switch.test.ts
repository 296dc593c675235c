// ovs-vswitchd is killed, and with it every flow and every tracked connection of a node. Nothing that policies deny gets
// through on the way back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { podKind } from "../../src/kinds/pod.ts";
import { formatMac } from "../../src/net/mac.ts";
import { routerMac as routerMacNumber } from "../../src/pipeline/neighbour.ts";
import { runCommand, runIp } from "../../src/runtime/command.ts";
import { TestLab, killAll, until } from "./harness.ts";
import { Burst, EchoServer, Ping, Sink, Conversation } from "./traffic.ts";

const ports = { denied: 7001, forged: 7004, allowed: 7002, echo: 7003 } as const;
const routerMac = formatMac(routerMacNumber);
const stack = new AsyncDisposableStack();
const addresses = new Map<string, readonly string[]>();
let lab: TestLab;

/** On the node whose switch is killed, and on another one. */
const places: Readonly<Record<string, string>> = {
  "a-1": "node-1",
  "b-1": "node-1",
  "c-1": "node-1",
  "a-2": "node-2",
  "b-2": "node-2",
};
const names = Object.keys(places);

const manifests = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
${names
  .map(
    (name) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop }
spec:
  nodeName: ${places[name]}
  containers: [{ name: main, image: any, ports: [{ containerPort: 80 }, { containerPort: 81 }] }]
---`,
  )
  .join("")}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: some-ports, namespace: shop }
spec:
  podSelector: {}
  ingress:
    - from: [{ podSelector: {} }]
      ports:
        - { protocol: TCP, port: 80 }
        - { protocol: UDP, port: ${ports.allowed} }
        - { protocol: UDP, port: ${ports.forged} }
        - { protocol: TCP, port: ${ports.echo} }
        - { protocol: UDP, port: ${ports.echo} }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: inside, namespace: shop }
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{ to: [{ podSelector: {} }] }]
`;

function route(from: string, to: string, port: number, family: 4 | 6 = 4) {
  const address = addresses.get(to)?.find((text) => text.includes(":") === (family === 6));
  assert.ok(address !== undefined);
  return { netns: lab.podNetns(`shop/${from}`), to: address, port };
}

/** Lets the pod send its packets straight to a MAC address: a switch without flows that took to learning would pass them on. */
async function setNextHop(pod: string, mac: string): Promise<void> {
  const netns = `isobar-${lab.paths.name}.pod.shop.${pod}`;
  await runIp([`neigh replace 169.254.1.1 lladdr ${mac} dev eth0`], netns);
}

async function macOf(pod: string): Promise<string> {
  const netns = `--net=${lab.podNetns(`shop/${pod}`)}`;
  const text = await runCommand(["nsenter", netns, "ip", "link", "show", "eth0"]);
  const mac = /link\/ether (\S+)/.exec(text)?.[1];
  assert.ok(mac !== undefined);
  return mac;
}

before(async () => {
  lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(manifests);
  await lab.settle();
  for (const name of names) {
    const pod = await lab.client.get(podKind, { namespace: "shop", name });
    addresses.set(name, pod.status?.podIPs?.map(({ ip }) => ip) ?? []);
    stack.use(new EchoServer(lab.podNetns(`shop/${name}`), ports.echo));
  }
});

after(async () => await stack.disposeAsync());

for (const round of [1, 2, 3]) {
  test(`nothing denied passes while the switch of a node comes back, round ${round}`, async (t) => {
    await using cleanup = new AsyncDisposableStack();
    const use = <T extends Disposable>(one: T): T => cleanup.use(one);
    const [internet] = (await lab.status()).externalHosts;
    const [office = ""] = internet?.addresses ?? [];
    const outside = `/run/netns/isobar-${lab.paths.name}.external.${internet?.name}`;
    // Where denied datagrams would arrive: at pods by ingress, outside by egress.
    const denied = [
      ...names.map((name) => use(new Sink(lab.podNetns(`shop/${name}`), ports.denied))),
      use(new Sink(outside, ports.denied)),
      use(new Sink(lab.podNetns("shop/b-1"), ports.forged)),
    ];
    const allowed = [
      use(new Sink(lab.podNetns("shop/b-1"), ports.allowed)),
      use(new Sink(lab.podNetns("shop/b-2"), ports.allowed)),
    ];
    await setNextHop("c-1", await macOf("b-1"));
    const conversations = (["a-1", "a-2"] as const).flatMap((from) =>
      (["b-1", "b-2"] as const).map((to) =>
        use(new Conversation(`${from} -> ${to}`, route(from, to, ports.echo))),
      ),
    );
    const ping = use(new Ping("a-2 -> b-1", route("a-2", "b-1", ports.echo)));
    await until("every conversation", () => conversations.every(({ answered }) => answered > 0));
    const bursts = [
      route("a-1", "b-1", ports.denied),
      route("a-1", "b-2", ports.denied),
      route("a-2", "b-1", ports.denied),
      // Allowed by policy, but not past the router.
      route("c-1", "b-1", ports.forged),
      route("b-1", "a-1", ports.denied, 6),
      route("b-2", "a-1", ports.denied, 6),
      { ...route("a-1", "b-1", ports.denied), to: office },
    ].map((to) => use(new Burst(to, 3, 2)));
    const controls = [
      route("a-1", "b-1", ports.allowed),
      route("a-2", "b-1", ports.allowed),
      route("a-1", "b-2", ports.allowed),
    ].map((to) => use(new Burst(to, 1, 2)));
    await until("what is allowed", () => allowed.every(({ received }) => received > 20));
    assert.deepEqual(
      denied.map(({ received }) => received),
      denied.map(() => 0),
    );

    const sentBefore = bursts.reduce((sum, { sent }) => sum + sent, 0);
    const killedAt = performance.now();
    await killAll([lab.switchPidOf("node-1", "ovs-vswitchd")]);
    await sleep(5);
    for (const sink of allowed) sink.reset();
    for (const one of conversations) one.start(20);
    ping.start(5);
    await until("what is allowed", () => allowed.every(({ received }) => received > 20));
    const backMs = Math.round((allowed[0]?.firstAtMs ?? 0) - killedAt);
    await until("a ping", () => ping.answered > 0);
    await sleep(500);
    const attempts = bursts.reduce((sum, { sent }) => sum + sent, 0) - sentBefore;
    const alive = conversations.filter(({ ended, sent, answered }) => {
      return ended === undefined && sent - answered < 10;
    });
    t.diagnostic(
      `${attempts} denied datagrams from the kill on, allowed ones pass again after ${backMs} ms; ` +
        `${alive.length} of ${conversations.length} connections went on at once`,
    );
    assert.ok(attempts > 2_000, "denied datagrams were sent");
    assert.deepEqual(
      denied.map(({ received }) => received),
      denied.map(() => 0),
    );
    assert.ok(controls.every(({ sent }) => sent > 0));
    await lab.recovered();
    await setNextHop("c-1", routerMac);
    const { probes, mismatches } = await lab.compareVerdicts();
    assert.ok(probes > 20);
    assert.deepEqual(mismatches, []);
    assert.deepEqual((await lab.compareVerdicts(6)).mismatches, []);
  });
}
