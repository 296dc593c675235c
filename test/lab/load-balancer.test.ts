// The worked example of load balancing, on real packets: a Service and a LoadBalancer with pods and a server outside as members.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { type LoadBalancer, loadBalancerKind } from "../../src/kinds/load-balancer.ts";
import { serviceKind } from "../../src/kinds/service.ts";
import { TestLab, until } from "./harness.ts";

const folder = new URL("../../examples/load-balancing/", import.meta.url);
const server = "203.0.113.10";
const nobody = "203.0.113.99";

const stack = new AsyncDisposableStack();
let lab: TestLab;

before(async () => {
  lab = stack.use(await TestLab.start());
  for (const file of ["pool", "service", "load-balancer"]) {
    await lab.apply(readFileSync(new URL(`${file}.yaml`, folder), "utf8"));
  }
  await lab.apply(`
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: client}
spec: {containers: [{name: client, image: isobar.io/listener}]}
`);
  await lab.settle();
});
after(async () => await stack.disposeAsync());

async function balancer(): Promise<LoadBalancer> {
  return await lab.client.get(loadBalancerKind, { namespace: "shop", name: "mixed" });
}

async function healthOf(member: string): Promise<string | undefined> {
  const { status } = await balancer();
  return status?.members?.find(({ address }) => address === member)?.health;
}

/** Who answers, and how often; the verdict for nobody. */
async function answerers(from: string, count: number): Promise<Map<string, number>> {
  const [to = ""] = (await balancer()).status?.addresses ?? [];
  const probe = { from, to, protocol: "tcp", port: 80, family: 4 } as const;
  const counts = new Map<string, number>();
  for (const { answeredBy, verdict } of await lab.probe(
    Array.from({ length: count }, () => probe),
  )) {
    const who = answeredBy ?? verdict;
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  return counts;
}

/** Lets the server's host answer no connection any more, or again. */
async function setServer(isAnswering: boolean): Promise<void> {
  const { externalHosts } = await lab.status();
  const host = externalHosts.find(({ addresses }) => addresses.includes(server));
  const netns = `/run/netns/isobar-${lab.paths.name}.external.${host?.name}`;
  const script = isAnswering
    ? "delete table inet away"
    : "table inet away { chain in { type filter hook input priority 0; tcp dport 80 drop; }; }";
  execFileSync("nsenter", [`--net=${netns}`, "nft", "-f", "-"], { input: `${script}\n` });
}

test("the Service has the address that it asks for, and hosts outside reach it there", async () => {
  await until("the address", async () => {
    const service = await lab.client.get(serviceKind, { namespace: "shop", name: "web" });
    return service.status?.loadBalancer?.ingress?.[0]?.ip === "172.30.0.230";
  });
  const probe = { from: "internet", protocol: "tcp", port: 80, family: 4 } as const;
  await until("a connection", async () => {
    const [result] = await lab.probe([{ ...probe, to: "172.30.0.230" }]);
    return result?.verdict === "allowed";
  });
});

test("members that answer share the connections by their weights, and one that does not has none", async () => {
  await until("everybody found out", async () => (await balancer()).status?.healthy === "3/4");
  assert.equal(await healthOf(nobody), "Unhealthy");
  for (const from of ["shop/client", "internet"]) {
    let counts = new Map<string, number>();
    await until(`every member to answer ${from}`, async () => {
      counts = await answerers(from, 200);
      return counts.size === 3 && !counts.has("denied") && !counts.has("refused");
    }).catch((cause: unknown) => {
      throw new Error(JSON.stringify([...counts]), { cause });
    });
    const office = [...counts].find(([name]) => !name.startsWith("shop/"))?.[1] ?? 0;
    // Of 200 choices the one with half the weight gets 100 ± 7.1; six deviations miss once in 10^9.
    assert.ok(Math.abs(office - 100) < 43, JSON.stringify([...counts]));
  }
});

test("a member that stops answering gets no more connections, and gets them again", async (context) => {
  await setServer(false);
  const startedMs = performance.now();
  await until("the server unhealthy", async () => (await healthOf(server)) === "Unhealthy");
  context.diagnostic(`unhealthy after ${Math.round(performance.now() - startedMs)} ms`);
  await until("pods alone", async () => {
    const counts = await answerers("shop/client", 60);
    return [...counts.keys()].every((name) => name.startsWith("shop/web")) && counts.size === 2;
  });
  await setServer(true);
  await until("the server healthy", async () => (await healthOf(server)) === "Healthy");
  await until("all of them", async () => (await answerers("shop/client", 60)).size === 3);
});

test("when nobody is healthy the stated fall-back applies", async () => {
  const change = async (spec: object): Promise<void> => {
    const patch = { type: "merge-patch+json", body: { spec } } as const;
    await lab.client.patch(loadBalancerKind, { namespace: "shop", name: "mixed" }, patch);
  };
  // Nobody listens there.
  await change({ healthCheck: { port: 4 } });
  await until("nobody healthy", async () => (await balancer()).status?.healthy === "0/4");
  await until("refusals", async () => (await answerers("shop/client", 20)).get("refused") === 20);
  await change({ whenAllUnhealthy: "UseAll" });
  await until("answers again", async () => (await answerers("shop/client", 60)).size >= 3);
});
