// Objects that are very large, or too large: what they cost is bounded, and nobody waits for them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isBlock } from "../../src/agent/connections/connection-review.ts";
import { StatusError } from "../../src/apimachinery/errors.ts";
import { pathOf } from "../../src/client/object-path.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { TestLab, until } from "./harness.ts";

const stack = new AsyncDisposableStack();
let lab: TestLab;

function pod(name: string, node: number): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec:
  nodeName: node-${node}
  containers: [{ name: main, image: any, ports: [{ containerPort: 80 }] }]
---`;
}

function policy(name: string, spec: unknown): object {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: "shop" },
    spec,
  };
}

async function create(name: string, spec: unknown): Promise<void> {
  const path = pathOf(networkPolicyKind, { namespace: "shop" });
  await lab.client.json("POST", path, { body: policy(name, spec) });
}

async function remove(name: string): Promise<void> {
  await lab.delete(networkPolicyKind, { namespace: "shop", name });
}

async function flowCounts(): Promise<number[]> {
  const counts = lab.nodes.map(async (node) => {
    // What keeps cut connections cut goes by itself when they are silent.
    return (await lab.flows(node)).filter(({ flow }) => !isBlock(flow)).length;
  });
  return await Promise.all(counts);
}

async function verdict(from: string, to: string): Promise<string | undefined> {
  const [result] = await lab.probe([{ from, to, protocol: "tcp", port: 80, family: 4 }]);
  return result?.verdict;
}

/** Blocks of single addresses in 10.64.0.0/10, all of them apart. */
function blocks(count: number): unknown[] {
  return Array.from({ length: count }, (_, index) => {
    const number = (0x0a_40_00_00 + index * 2) >>> 0;
    const octets = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
    return { ipBlock: { cidr: `${octets.join(".")}/32` } };
  });
}

before(async () => {
  lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(
    `apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n---${pod("web", 1)}${pod("client", 2)}${pod("other", 2)}`,
  );
  await lab.settle();
});

after(async () => await stack.disposeAsync());

/** Settles when a small change made now has come to every node, and says how long that took. */
async function smallChangeMs(name: string): Promise<number> {
  const begun = performance.now();
  await create(name, { podSelector: { matchLabels: { app: "other" } }, policyTypes: ["Ingress"] });
  await until(`small change ${name}`, async () => {
    const found = await lab.client.get(networkPolicyKind, { namespace: "shop", name });
    return found.metadata.annotations?.["isobar.io/realised"] === "1/1";
  });
  const took = performance.now() - begun;
  await remove(name);
  return took;
}

test("a policy with 10,000 peers costs two flows for each, where its subjects are, and goes without a trace", async (t) => {
  const earlier = await flowCounts();
  const peers = [{ podSelector: { matchLabels: { app: "client" } } }, ...blocks(9_999)];
  const begun = performance.now();
  await create("huge", {
    podSelector: { matchLabels: { app: "web" } },
    ingress: [{ from: peers }],
  });
  const small = await smallChangeMs("beside");
  await lab.settle();
  t.diagnostic(
    `in force after ${Math.round(performance.now() - begun)} ms, a small change beside it after ${Math.round(small)} ms`,
  );
  const now = await flowCounts();
  const [subject = 0, elsewhere = 0] = now.map((count, node) => count - (earlier[node] ?? 0));
  t.diagnostic(`${subject} flows more where the subject is, ${elsewhere} elsewhere`);
  assert.ok(subject >= 20_000 && subject <= 20_016, `${subject} flows`);
  assert.ok(elsewhere <= 16, `${elsewhere} flows`);
  assert.equal(await verdict("shop/client", "shop/web"), "allowed");
  assert.equal(await verdict("shop/other", "shop/web"), "denied");

  const patched = performance.now();
  // One peer less is one peer's change.
  const path = `/spec/ingress/0/from/0`;
  const place = { namespace: "shop", name: "huge" };
  await lab.client.patch(networkPolicyKind, place, {
    type: "json-patch+json",
    body: [{ op: "remove", path }],
  });
  await lab.settle();
  t.diagnostic(`one peer less in force after ${Math.round(performance.now() - patched)} ms`);
  assert.equal(await verdict("shop/client", "shop/web"), "denied");
  const removed = performance.now();
  await remove("huge");
  await lab.settle();
  t.diagnostic(`gone after ${Math.round(performance.now() - removed)} ms`);
  assert.deepEqual(await flowCounts(), earlier);
  assert.equal(await verdict("shop/other", "shop/web"), "allowed");
});

test("a selector of 5,000 characters costs as much as a short one", async () => {
  const earlier = await flowCounts();
  const values = Array.from({ length: 130 }, (_, index) => `value-${index}`.padEnd(38, "x"));
  const long = {
    matchExpressions: [
      { key: "app", operator: "In", values: ["client", ...values] },
      { key: "app", operator: "NotIn", values },
    ],
  };
  assert.ok(JSON.stringify(long).length > 5_000);
  await create("long", {
    podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["web", ...values] }] },
    ingress: [{ from: [{ podSelector: long }] }],
  });
  await lab.settle();
  const now = await flowCounts();
  const more = now.map((count, node) => count - (earlier[node] ?? 0));
  assert.ok(
    more.every((count) => count <= 12),
    `${more.join()} flows`,
  );
  assert.equal(await verdict("shop/client", "shop/web"), "allowed");
  assert.equal(await verdict("shop/other", "shop/web"), "denied");
  await remove("long");
  await lab.settle();
  assert.deepEqual(await flowCounts(), earlier);
});

test("an object of 1 MB is taken, one beyond the limit is refused with the limit, and nothing of it stays", async () => {
  const earlier = await flowCounts();
  const annotated = (size: number): unknown => ({
    ...policy("fat", {
      podSelector: { matchLabels: { app: "web" } },
      policyTypes: ["Ingress"],
    }),
    metadata: { name: "fat", namespace: "shop", annotations: { note: "x".repeat(size) } },
  });
  const path = pathOf(networkPolicyKind, { namespace: "shop" });
  const refused = async (body: unknown): Promise<string> => {
    try {
      await lab.client.json("POST", path, { body });
    } catch (error) {
      assert.ok(error instanceof StatusError, String(error));
      return `${error.status.code} ${error.message}`;
    }
    return assert.fail("it was taken");
  };
  // Annotations have a limit of their own, all other fields that of the request.
  assert.match(await refused(annotated(300_000)), /^422 .*annotations.*262144/s);
  const peers = blocks(28_000);
  const fat = policy("fat", {
    podSelector: { matchLabels: { app: "web" } },
    ingress: [{ from: peers.slice(0, 26_000) }],
  });
  assert.ok(JSON.stringify(fat).length > 1_000_000);
  await lab.client.json("POST", path, { body: fat });
  await smallChangeMs("beside");
  await lab.settle();
  const [subject = 0] = (await flowCounts()).map((count, node) => count - (earlier[node] ?? 0));
  assert.ok(subject <= 52_100, `${subject} flows`);
  assert.equal(await verdict("shop/client", "shop/web"), "denied");
  await remove("fat");
  await lab.settle();
  assert.deepEqual(await flowCounts(), earlier);

  const many = Array.from({ length: 3 }, () => peers).flat();
  const tooFat = policy("fat", { podSelector: {}, ingress: [{ from: many }] });
  assert.ok(JSON.stringify(tooFat).length > 3 << 20);
  assert.match(await refused(tooFat), /^413 .*3145728/s);
  assert.equal(
    await lab.client.find(networkPolicyKind, { namespace: "shop", name: "fat" }),
    undefined,
  );
  assert.deepEqual(await flowCounts(), earlier);
});
