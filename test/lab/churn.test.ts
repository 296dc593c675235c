// Everything changes at random while the controller and agents are killed. At the end only the last state counts: verdicts
// are the evaluator's, and nothing of what was is left.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { isBlock } from "../../src/agent/connection-review.ts";
import { StatusError } from "../../src/apimachinery/errors.ts";
import type { KindDefinition } from "../../src/apimachinery/kind.ts";
import type { Manifest } from "../../src/client/manifest.ts";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { netnsDirectory } from "../../src/lab/network/command.ts";
import { runCommand } from "../../src/runtime/command.ts";
import fc from "fast-check";
import { policySpecArbitrary } from "../arbitrary/network-policy.ts";
import { namespaceLabelValues, podLabelValues } from "../arbitrary/labels.ts";
import { compareFlows, momentOf } from "./flow-history.ts";
import { TestLab, until } from "./harness.ts";

const seed = Number(process.env["ISOBAR_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const steps = 60;
const kills = 6;
const namespaces = ["ns1", "ns2"] as const;
const agents = ["agent-node-1", "agent-node-2", "agent-node-3"] as const;
const stack = new AsyncDisposableStack();
let lab: TestLab;

/** A small generator of its own: the steps must not depend on how another test library draws. mulberry32. */
function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
const random = randomFrom(seed);

function oneOf<T>(items: readonly T[]): T {
  const item = items[random(items.length)];
  assert.ok(item !== undefined);
  return item;
}

function labelsFrom(values: Readonly<Record<string, readonly string[]>>): Record<string, string> {
  const chosen = Object.entries(values).filter(() => random(3) > 0);
  return Object.fromEntries(chosen.map(([key, each]) => [key, oneOf(each)]));
}

function namespace(name: string): Manifest {
  const metadata = { name, labels: labelsFrom(namespaceLabelValues) };
  return { apiVersion: "v1", kind: "Namespace", metadata };
}

function pod(place: { readonly namespace: string; readonly name: string }): Manifest {
  const ports = [
    { name: "http", containerPort: oneOf([80, 8080]) },
    { name: "dns", containerPort: 53, protocol: "UDP" },
  ];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...place, labels: labelsFrom(podLabelValues) },
    spec: { nodeName: oneOf(lab.nodes), containers: [{ name: "main", image: "any", ports }] },
  };
}

function policy(place: { readonly namespace: string; readonly name: string }): Manifest {
  const [spec] = fc.sample(policySpecArbitrary(false), { seed: random(2 ** 31), numRuns: 1 });
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: place,
    spec,
  };
}

async function remove(kind: KindDefinition, place: { namespace: string; name: string }) {
  try {
    await lab.delete(kind, place);
  } catch (error) {
    if (!(error instanceof StatusError && error.status.code === 404)) throw error;
  }
}

/** A manifest that is refused, since the spec is one that the API does not take, is a step that changes nothing. */
async function put(manifest: Manifest): Promise<void> {
  try {
    await lab.apply([manifest]);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
  }
}

async function relabel(place: { namespace: string; name: string }): Promise<void> {
  const cleared = Object.fromEntries(Object.keys(podLabelValues).map((key) => [key, null]));
  const body = { metadata: { labels: { ...cleared, ...labelsFrom(podLabelValues) } } };
  try {
    await lab.client.patch(podKind, place, { type: "merge-patch+json", body });
  } catch (error) {
    if (!(error instanceof StatusError && error.status.code === 404)) throw error;
  }
}

/** One random change. Names come from a few, so that they are used again. */
async function step(): Promise<string> {
  const place = { namespace: oneOf(namespaces), name: `x${random(6)}` };
  const text = `${place.namespace}/${place.name}`;
  switch (random(10)) {
    case 0:
    case 1:
      await remove(podKind, place);
      return `delete pod ${text}`;
    case 2:
    case 3:
    case 4:
      await put(pod(place));
      return `put pod ${text}`;
    case 5:
      await relabel(place);
      return `relabel pod ${text}`;
    case 6:
      await put(namespace(place.namespace));
      return `relabel namespace ${place.namespace}`;
    case 7:
      await remove(networkPolicyKind, place);
      return `delete policy ${text}`;
    default:
      await put(policy(place));
      return `put policy ${text}`;
  }
}

before(async () => {
  lab = stack.use(await TestLab.start());
  await lab.apply(namespaces.map(namespace));
  for (const each of namespaces) {
    for (let index = 0; index < 5; index++) {
      await lab.apply([pod({ namespace: each, name: `x${index}` })]);
    }
  }
  await lab.settle();
});

after(async () => await stack.disposeAsync());

test("after random changes amid kills, verdicts are the evaluator's", async (t) => {
  t.diagnostic(`seed ${seed}; ISOBAR_TEST_SEED repeats it`);
  const killAt = new Set(Array.from({ length: kills }, () => random(steps)));
  const log: string[] = [];
  for (let index = 0; index < steps; index++) {
    if (killAt.has(index)) {
      const victims = oneOf([
        ["controller"],
        [oneOf(agents)],
        [...agents],
        ["controller", ...agents],
      ]);
      log.push(`kill ${victims.join(", ")}`);
      await killRunning(victims);
    }
    log.push(await step());
  }
  await lab.recovered();
  for (const family of [4, 6] as const) {
    const { probes, mismatches } = await lab.compareVerdicts(family);
    t.diagnostic(`IPv${family}: ${probes} probes`);
    assert.deepEqual(mismatches, [], `seed ${seed}:\n${log.join("\n")}`);
    assert.ok(probes > 20);
  }
});

/** A victim that is down from the last time stays down a little longer. */
async function killRunning(names: readonly string[]): Promise<void> {
  for (const name of names) await lab.kill(name).catch(() => undefined);
}

test("an agent that starts now finds nothing to change", async () => {
  for (const agent of agents) {
    const node = agent.replace("agent-", "");
    const earlier = momentOf(await lab.flows(node));
    await lab.killAndRecover(agent);
    const { added, removed, changed } = compareFlows(earlier, momentOf(await lab.flows(node)));
    assert.deepEqual(
      { node, added, removed, changed },
      { node, added: [], removed: [], changed: [] },
    );
  }
});

test("of pods that are gone, no namespace, port, endpoint or flow is left", async () => {
  const { items } = await lab.client.list(podKind);
  const pods = items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).toSorted();
  const prefix = `isobar-${lab.paths.name}.pod.`;
  const netns = readdirSync(netnsDirectory).filter((name) => name.startsWith(prefix));
  const expected = pods.map((name) => prefix + name.replace("/", "."));
  assert.deepEqual(netns.toSorted(), expected.toSorted());
  const endpoints = await lab.client.list(endpointKind);
  assert.deepEqual(
    endpoints.items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).toSorted(),
    pods,
  );
  for (const node of lab.nodes) {
    const here = items
      .filter(({ spec }) => spec?.nodeName === node)
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
      .toSorted();
    const status = await lab.agentStatus(node);
    assert.deepEqual(status.endpoints.map(({ id }) => id).toSorted(), here);
    const links = await runCommand(["nsenter", `--net=${lab.nodeNetns(node)}`, "ip", "-o", "link"]);
    const ports = [...links.matchAll(/ (iso[0-9a-f]{12})@/g)].map(([, name]) => name ?? "");
    assert.deepEqual(new Set(ports), new Set(status.endpoints.map(({ port }) => port)));
  }
});

test("a lab that is emptied has the flows of a new one", async () => {
  for (const name of namespaces) await lab.client.delete(namespaceKind, { name });
  await until("the namespaces' end", async () => {
    const { items } = await lab.client.list(namespaceKind);
    return !items.some(({ metadata }) => namespaces.some((name) => name === metadata.name));
  });
  await lab.recovered();
  await using fresh = await TestLab.start();
  for (const node of lab.nodes) {
    // What keeps cut connections cut goes by itself when they are silent.
    const flows = (await lab.flows(node)).filter(({ flow }) => !isBlock(flow));
    const { added, removed } = compareFlows(momentOf(await fresh.flows(node)), momentOf(flows));
    assert.deepEqual({ node, added, removed }, { node, added: [], removed: [] });
  }
});
