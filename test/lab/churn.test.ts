// Everything changes at random while the controller and agents are killed. At the end only the last state counts: verdicts
// are the evaluator's, and nothing of what was is left.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { isBlock } from "../../src/agent/connections/connection-review.ts";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { netnsDirectory } from "../../src/lab/network/command.ts";
import { runCommand } from "../../src/runtime/command.ts";
import { Churn } from "./churn.ts";
import { type FlowMoment, compareFlows, momentOf } from "./flow-history.ts";
import { TestLab, until } from "./harness.ts";

const seed = Number(process.env["ISOBAR_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const steps = 60;
const kills = 6;
const agents = ["agent-node-1", "agent-node-2", "agent-node-3"] as const;
const stack = new AsyncDisposableStack();
let lab: TestLab;

let churn: Churn;

before(async () => {
  lab = stack.use(await TestLab.start());
  churn = new Churn(lab, seed);
  await churn.begin();
});

after(async () => await stack.disposeAsync());

test("after random changes amid kills, verdicts are the evaluator's", async (t) => {
  t.diagnostic(`seed ${seed}; ISOBAR_TEST_SEED repeats it`);
  const killAt = new Set(Array.from({ length: kills }, () => churn.below(steps)));
  const log: string[] = [];
  for (let index = 0; index < steps; index++) {
    if (killAt.has(index)) {
      const victims = churn.oneOf([
        ["controller"],
        [churn.oneOf(agents)],
        [...agents],
        ["controller", ...agents],
      ]);
      log.push(`kill ${victims.join(", ")}`);
      await killRunning(victims);
    }
    log.push(await churn.step());
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

/** The node's flows without those that keep cut connections cut: they come from a look at connections and go by themselves. */
async function lastingFlows(of: TestLab, node: string): Promise<FlowMoment> {
  return momentOf((await of.flows(node)).filter(({ flow }) => !isBlock(flow)));
}

test("an agent that starts now finds nothing to change", async () => {
  for (const agent of agents) {
    const node = agent.replace("agent-", "");
    const earlier = await lastingFlows(lab, node);
    await lab.killAndRecover(agent);
    const { added, removed, changed } = compareFlows(earlier, await lastingFlows(lab, node));
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
  for (const name of churn.namespaces) await lab.client.delete(namespaceKind, { name });
  await until("the namespaces' end", async () => {
    const { items } = await lab.client.list(namespaceKind);
    return !items.some(({ metadata }) => churn.namespaces.some((name) => name === metadata.name));
  });
  await lab.recovered();
  await using fresh = await TestLab.start();
  for (const node of lab.nodes) {
    const [wanted, found] = [await lastingFlows(fresh, node), await lastingFlows(lab, node)];
    const { added, removed } = compareFlows(wanted, found);
    assert.deepEqual({ node, added, removed }, { node, added: [], removed: [] });
  }
});
