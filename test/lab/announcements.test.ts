// Addresses of load balancers on the underlay: who answers for them, and how soon another one does.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { loadBalancerAddressKind } from "../../src/kinds/load-balancer-address.ts";
import { nodeKind } from "../../src/kinds/node.ts";
import { serviceKind } from "../../src/kinds/service.ts";
import { TestLab, until } from "./harness.ts";

const pool = `
apiVersion: isobar.io/v1alpha1
kind: LoadBalancerPool
metadata: {name: edge}
spec: {addresses: [172.30.0.224/28, "fd00:30::e0/124"]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`;
const address = { 4: "172.30.0.224", 6: "fd00:30::e0" } as const;

const stack = new AsyncDisposableStack();
let lab: TestLab;
/** Node → MAC of its interface on the underlay. */
const macs = new Map<string, string>();

before(async () => {
  lab = stack.use(await TestLab.start());
  for (const node of lab.nodes) {
    const listing = run(lab.nodeNetns(node), "ip -json link show br-ext");
    macs.set(node, JSON.parse(listing)[0].address);
  }
  await lab.apply(pool);
});
after(async () => await stack.disposeAsync());

function run(netns: string, script: string): string {
  return execFileSync("nsenter", [`--net=${netns}`, "sh", "-c", script], { encoding: "utf8" });
}

/** The node that answers when the fabric's router asks who has the address; `undefined` when nobody does in time. */
async function answers(target: string, timeoutMs = 1_500): Promise<string | undefined> {
  const fabric = `/run/netns/isobar-${lab.paths.name}.fabric`;
  run(
    fabric,
    `ip neigh flush to ${target} dev underlay; ip neigh del ${target} dev underlay 2>/dev/null || true`,
  );
  const family = target.includes(":") ? "-6" : "-4";
  run(fabric, `ping -n ${family} -c 1 -W 0.05 ${target} >/dev/null 2>&1 || true`);
  return await neighbour(target, timeoutMs);
}

/** The node that the fabric's router takes for the address's, without asking. */
async function neighbour(target: string, timeoutMs = 0): Promise<string | undefined> {
  const fabric = `/run/netns/isobar-${lab.paths.name}.fabric`;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const [entry] = JSON.parse(run(fabric, `ip -json neigh show ${target} dev underlay`) || "[]");
    const node = [...macs].find(([, mac]) => mac === entry?.lladdr)?.[0];
    if (node !== undefined || performance.now() >= deadline) return node;
    await sleep(20);
  }
}

async function announcer(target: string): Promise<string | undefined> {
  const name = target.includes(":") ? "fd00-30-0-0-0-0-0-e0" : target;
  return (await lab.client.find(loadBalancerAddressKind, { name }))?.status?.node;
}

test("one node answers for an address, the one that stands on it", async () => {
  for (const target of Object.values(address)) {
    await until(`an announcer of ${target}`, async () => (await announcer(target)) !== undefined);
    const node = await announcer(target);
    await until(`${node} to answer`, async () => (await answers(target)) === node);
  }
  assert.equal(await answers("172.30.0.225", 300), undefined, "an address that nobody has");
});

test("when a node's agent is gone another one answers within seconds, and says so unasked", async (context) => {
  const first = await announcer(address[4]);
  assert.ok(first !== undefined);
  await until("a neighbour", async () => (await answers(address[4])) === first);
  const agent = (await lab.status()).processes.find(({ name }) => name === `agent-${first}`);
  assert.ok(agent !== undefined, JSON.stringify((await lab.status()).processes));
  const { pid = 0 } = agent;
  process.kill(pid, "SIGSTOP");
  const startedMs = performance.now();
  try {
    await until(
      "another neighbour",
      async () => ![first, undefined].includes(await neighbour(address[4])),
    );
    const tookMs = performance.now() - startedMs;
    // Three seconds of silence; the rest is for a busy machine.
    assert.ok(tookMs > 2_000, `${tookMs} ms`);
    context.diagnostic(`failover took ${Math.round(tookMs)} ms`);
    await until("the object to say so", async () => (await announcer(address[4])) !== first);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  // The one who was away hears it, and falls silent: nobody else's neighbour changes back.
  const now = await announcer(address[4]);
  await sleep(2_000);
  for (let round = 0; round < 5; round++) {
    await until("one answer", async () => (await answers(address[4])) === now);
  }
});

test("a node that is excluded hands over, and an external traffic policy wants a backend", async () => {
  const first = await announcer(address[6]);
  assert.ok(first !== undefined);
  const label = "node.kubernetes.io/exclude-from-external-load-balancers";
  const set = async (value: string | null): Promise<void> => {
    const body = { metadata: { labels: { [label]: value } } };
    await lab.client.patch(nodeKind, { name: first }, { type: "merge-patch+json", body });
  };
  await set("");
  await until("another one", async () => ![first, undefined].includes(await announcer(address[6])));
  const second = await announcer(address[6]);
  await until("its answer", async () => (await answers(address[6])) === second);
  await set(null);
  const body = { spec: { externalTrafficPolicy: "Local" } };
  const place = { namespace: "shop", name: "web" };
  await lab.client.patch(serviceKind, place, { type: "merge-patch+json", body });
  await until("nobody", async () => (await announcer(address[4])) === undefined);
  await until("silence", async () => (await answers(address[4], 300)) === undefined);
  await lab.apply(`
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
spec:
  nodeName: node-3
  containers: [{name: web, image: isobar.io/listener, ports: [{containerPort: 8080}]}]
`);
  await until("the node of the pod", async () => (await answers(address[4])) === "node-3");
});

test("hosts outside reach a load balancer at the node that announces its address", async () => {
  const connect = async (family: 4 | 6): Promise<string> => {
    const probe = { to: address[family], protocol: "tcp", port: 80, family } as const;
    const [result] = await lab.probe([{ from: "internet", ...probe }]);
    return `${result?.verdict} by ${result?.answeredBy}`;
  };
  const expected = "allowed by shop/web";
  for (const policy of ["Local", "Cluster"]) {
    const body = { spec: { externalTrafficPolicy: policy } };
    const patch = { type: "merge-patch+json", body } as const;
    await lab.client.patch(serviceKind, { namespace: "shop", name: "web" }, patch);
    for (const family of [4, 6] as const) {
      let last = "";
      await until(`a connection over IPv${family}, policy ${policy}`, async () => {
        return (last = await connect(family)) === expected;
      }).catch((cause: unknown) => {
        throw new Error(last, { cause });
      });
    }
  }
});
