// What people do with a cluster, on a real one whose network is Isobar.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Cluster } from "./cluster.ts";
import { workloadImage } from "./images.ts";
import { installIsobar } from "./isobar.ts";
import {
  type PodView,
  deployment,
  namespaceObject,
  podsOf,
  probe,
  statefulSet,
  target,
} from "./pods.ts";
import { denyAll, policy } from "./policies.ts";
import { until } from "./until.ts";

let cluster: Cluster;
const slow = 120_000;

before(async () => {
  cluster = await Cluster.start("workloads", ["node-1", "node-2"]);
});

after(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

async function readiness(): Promise<string> {
  const condition = "{.status.conditions[?(@.type=='Ready')].reason}";
  return await cluster.kubectl.get(
    `{range .items[*]}{.metadata.name} ${condition}{'\\n'}{end}`,
    "nodes",
  );
}

/** Pods of the namespace, once there are so many and all are ready. */
async function readyPods(namespace: string, count: number): Promise<PodView[]> {
  let pods: PodView[] = [];
  await until(
    `${count} ready pods in ${namespace}`,
    async () => {
      pods = await podsOf(cluster.kubectl, `--namespace=${namespace}`);
      return pods.length === count && pods.every(({ ready }) => ready);
    },
    slow,
  );
  return pods;
}

function reachable(pods: readonly PodView[]): string[] {
  return pods.flatMap(({ addresses }) =>
    addresses.flatMap((one) => [target("tcp", one, 8080), target("udp", one, 5353)]),
  );
}

/** All of the pods find the same about all targets. */
async function everyVerdict(
  pods: readonly PodView[],
  targets: readonly string[],
  expected: string,
): Promise<void> {
  for (const pod of pods) {
    const verdicts = await probe(cluster.kubectl, pod, targets);
    for (const one of targets) assert.equal(verdicts.get(one), expected, `${pod.name} to ${one}`);
  }
}

test("nodes wait for a network plugin, and are ready when Isobar is installed", async () => {
  await until(
    "the word of both nodes",
    async () => (await readiness()) === "node-1 KubeletNotReady\nnode-2 KubeletNotReady\n",
  );
  await installIsobar(cluster);
  await until(
    "both nodes",
    async () => (await readiness()) === "node-1 KubeletReady\nnode-2 KubeletReady\n",
    slow,
  );
});

test("pods of Deployments and StatefulSets get addresses of their namespace's network and reach each other", async () => {
  const { kubectl } = cluster;
  await kubectl.apply(namespaceObject("shop"), namespaceObject("bank"));
  await kubectl.apply(
    deployment("shop", "web", 2),
    statefulSet("shop", "db", 2),
    deployment("bank", "ledger", 2),
  );
  const [shop, bank] = [await readyPods("shop", 4), await readyPods("bank", 2)];
  assert.deepEqual([...new Set(shop.map(({ node }) => node))].toSorted(), ["node-1", "node-2"]);
  const all = [...shop, ...bank];
  assert.equal(new Set(all.flatMap(({ addresses }) => addresses)).size, 12, "two addresses each");
  await everyVerdict([shop[0]!, bank[0]!], reachable(all), "allowed");
});

test("probes pass while policies deny everything, and a pod that fails one is not ready", async () => {
  const { kubectl } = cluster;
  await kubectl.apply(denyAll("shop"));
  const pods = await readyPods("shop", 4);
  const [web] = pods;
  const others = reachable(pods.filter(({ name }) => name !== web!.name));
  await until("denial", async () =>
    [...(await probe(kubectl, web!, others)).values()].every((verdict) => verdict === "denied"),
  );
  const [ledger] = await readyPods("bank", 2);
  await everyVerdict([ledger!], reachable(pods), "denied");
  const earlier = await podsOf(kubectl, "--namespace=shop");
  // Several periods of every probe.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  assert.deepEqual(await podsOf(kubectl, "--namespace=shop"), earlier, "ready, and not restarted");

  const inWeb = ["exec", "--namespace=shop", web!.name, "--", "/program"];
  await kubectl.run(...inWeb, "touch", "/tmp/fail");
  await until("the failing probe", async () => {
    const [one] = await podsOf(
      kubectl,
      "--namespace=shop",
      `--field-selector=metadata.name=${web!.name}`,
    );
    return one?.ready === false;
  });
  await kubectl.run(...inWeb, "touch", "/tmp/dead");
  await until("the restart by the liveness probe", async () => {
    const [one] = await podsOf(
      kubectl,
      "--namespace=shop",
      `--field-selector=metadata.name=${web!.name}`,
    );
    return one?.ready === true && one.restarts === 1;
  });
});

test("a NetworkPolicy opens what it says and no more, on both nodes and over both families", async () => {
  const { kubectl } = cluster;
  await kubectl.apply(...webToDatabase);
  const pods = await readyPods("shop", 4);
  const [ledger] = await readyPods("bank", 2);
  const [web, db] = ["web", "db"].map((app) => pods.filter(({ name }) => name.startsWith(app)));
  const lines = db!.flatMap(({ addresses }) => addresses.map((one) => target("tcp", one, 7000)));
  await until("realisation", async () =>
    [...(await probe(kubectl, web![0]!, lines)).values()].every((verdict) => verdict === "allowed"),
  );
  await everyVerdict(web!, lines, "allowed");
  await everyVerdict(
    web!,
    reachable(pods.filter(({ name }) => !web!.some((one) => one.name === name))),
    "denied",
  );
  await everyVerdict([ledger!], [...lines, ...reachable(pods)], "denied");
  await everyVerdict([db![0]!], reachable(web!), "denied");
});

test("a ClusterNetworkPolicy goes before what NetworkPolicies say, and is gone when it is deleted", async () => {
  const { kubectl } = cluster;
  const pods = await readyPods("shop", 4);
  const [front] = pods.filter(({ name }) => name.startsWith("web"));
  const lines = pods
    .filter(({ name }) => name.startsWith("db"))
    .flatMap(({ addresses }) => addresses.map((one) => target("tcp", one, 7000)));
  const become = async (verdict: string): Promise<void> =>
    await until(`${verdict} everywhere`, async () =>
      [...(await probe(kubectl, front!, lines)).values()].every((one) => one === verdict),
    );
  await become("allowed");
  await kubectl.apply(closedShop);
  await become("denied");
  await kubectl.run("delete", "clusternetworkpolicy", "closed-shop");
  await become("allowed");
});

test("kubectl exec and logs reach containers on every node", async () => {
  const { kubectl } = cluster;
  for (const { name } of await readyPods("shop", 4)) {
    assert.match(
      await kubectl.run("logs", "--namespace=shop", name),
      new RegExp(`serving as ${name}`),
    );
  }
});

test("pods on the host network reach pods, and pods reach them and a Service in front of pods", async () => {
  const { kubectl } = cluster;
  await kubectl.apply(hostPod("node-2"), service("bank", "ledger"));
  const [ledger, other] = await readyPods("bank", 3).then((pods) =>
    pods.filter(({ name }) => name.startsWith("ledger")),
  );
  const [host] = await podsOf(kubectl, "--namespace=bank", "--selector=app=host");
  assert.equal(host!.addresses[0], cluster.nodes[1]!.host.addresses[0]);
  await everyVerdict([host!], reachable([ledger!, other!]), "allowed");
  const hostPort = target("tcp", host!.addresses[0]!, 8080);
  await everyVerdict([ledger!, other!], [hostPort], "allowed");
  const ips = await kubectl.get("{.spec.clusterIPs[*]}", "service", "ledger", "--namespace=bank");
  const addresses = ips.split(" ").map((address) => target("tcp", address, 80));
  assert.equal(addresses.length, 2);
  for (const pod of [host!, ledger!]) {
    await until(`the Service for ${pod.name}`, async () =>
      [...(await probe(kubectl, pod, addresses)).values()].every((one) => one === "allowed"),
    );
  }
});

test("a static pod is attached like any other", async () => {
  const { kubectl, nodes } = cluster;
  const manifest = join(nodes[0]!.folder("/etc/kubernetes"), "manifests", "static.json");
  writeFileSync(manifest, JSON.stringify(staticPod));
  await readyPods("bank", 4);
  const selector = "--selector=app=static";
  const [pod] = await podsOf(kubectl, "--namespace=bank", selector);
  const [ledger] = await podsOf(kubectl, "--namespace=bank", "--selector=app=ledger");
  await everyVerdict([ledger!], reachable([pod!]), "allowed");
  rmSync(manifest);
  await until(
    "its end",
    async () => (await podsOf(kubectl, "--namespace=bank", selector)).length === 0,
  );
});

test("namespaces leave nothing behind", async () => {
  const { kubectl, nodes } = cluster;
  await kubectl.run("delete", "namespace", "shop", "bank", "--wait=false");
  await until("their end", async () => {
    const namespaces = await kubectl.get("{.items[*].metadata.name}", "namespaces");
    return !/\b(shop|bank)\b/.test(namespaces);
  });
  await until("the end of their objects", async () => {
    const kinds = "endpoints.isobar.io,networks.isobar.io";
    return (await kubectl.run("get", kinds, "--all-namespaces", "--output=name")) === "";
  });
  for (const node of nodes) {
    await until(`the end of interfaces on ${node.name}`, async () => {
      const links = await node.run("ip", "-brief", "link");
      const namespaces = await node.run("ls", "/run/netns");
      return !/^iso[0-9a-f]{12}/m.test(links) && namespaces === "";
    });
  }
});

const [web, db] = ["web", "db"].map((app) => ({ podSelector: { matchLabels: { app } } }));
const port = { protocol: "TCP", port: "lines" };
const webToDatabase = [
  policy("shop", "db", {
    ...db,
    policyTypes: ["Ingress"],
    ingress: [{ from: [web], ports: [port] }],
  }),
  policy("shop", "web", { ...web, policyTypes: ["Egress"], egress: [{ to: [db], ports: [port] }] }),
];

const shopNamespace = { matchLabels: { name: "shop" } };
const closedShop = {
  apiVersion: "policy.networking.k8s.io/v1alpha2",
  kind: "ClusterNetworkPolicy",
  metadata: { name: "closed-shop" },
  spec: {
    tier: "Admin",
    priority: 10,
    subject: { namespaces: shopNamespace },
    ingress: [{ name: "nobody", action: "Deny", from: [{ namespaces: shopNamespace }] }],
  },
};

function service(namespace: string, app: string): object {
  const metadata = { name: app, namespace };
  const ports = [{ port: 80, targetPort: "http" }];
  const spec = { selector: { app }, ports, ipFamilyPolicy: "RequireDualStack" };
  return { apiVersion: "v1", kind: "Service", metadata, spec };
}

function hostPod(nodeName: string): object {
  const metadata = { name: "host", namespace: "bank", labels: { app: "host" } };
  const containers = [{ name: "server", image: workloadImage, args: ["serve"] }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: {
      nodeName,
      hostNetwork: true,
      containers,
      dnsPolicy: "Default",
      terminationGracePeriodSeconds: 1,
    },
  };
}

const staticPod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "static", namespace: "bank", labels: { app: "static" } },
  spec: {
    containers: [{ name: "server", image: workloadImage, args: ["serve"] }],
    dnsPolicy: "Default",
    terminationGracePeriodSeconds: 1,
  },
};
