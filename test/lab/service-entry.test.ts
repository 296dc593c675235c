// Services from where no pod is: hosts outside, the nodes themselves, and pods that use a node's address. Real packets.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { deploymentKind } from "../../src/kinds/deployment.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import type { ProbeSpec } from "../../src/lab/protocol.ts";
import { runCommand } from "../../src/runtime/command.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { netnsPath } from "../../src/lab/network/command.ts";
import { TestLab, until } from "./harness.ts";

const nodePort = { tcp: 30080, udp: 30053 } as const;
const external = { 4: "198.18.0.7", 6: "2001:db8:99::7" } as const;
const nodes = { 4: "172.30.0.", 6: "fd00:30::" } as const;
const firstNode = 10;

function addressOf(node: number, family: 4 | 6): string {
  const host = firstNode + node - 1;
  return nodes[family] + (family === 4 ? String(host) : host.toString(16));
}

function serviceOf(name: string, more: string, spec = ""): string {
  return `---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: ${name}}
spec:
  type: NodePort
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ${more}
  ports:
    - {name: http, port: 80, targetPort: 8080, nodePort: ${nodePort.tcp}}
    - {name: dns, port: 53, targetPort: 5353, protocol: UDP, nodePort: ${nodePort.udp}}
${spec}`;
}

const web = serviceOf(
  "web",
  `clusterIPs: ["10.96.0.30", "fd00:10:96::30"]
  clusterIP: "10.96.0.30"
  externalIPs: ["${external[4]}", "${external[6]}"]`,
);

/** On the third node alone: whoever comes in at another one is sent on. */
const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: web, labels: {app: web}}
spec:
  nodeName: node-3
  containers:
    - name: web
      image: isobar.io/listener
      ports: [{containerPort: 8080}, {containerPort: 5353, protocol: UDP}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: client, labels: {app: client}}
spec: {nodeName: node-1, containers: [{name: client, image: isobar.io/listener}]}
${web}`;

const stack = new AsyncDisposableStack();
let lab: TestLab;

before(async () => {
  lab = stack.use(await TestLab.start());
  await lab.apply(objects);
  await lab.settle();
  // The external addresses are answered for by the first node.
  const fabric = netnsPath(`isobar-${lab.paths.name}.fabric`);
  for (const family of [4, 6] as const) {
    const by = addressOf(1, family);
    for (const to of [external[family], family === 4 ? "10.96.0.30" : "fd00:10:96::30"]) {
      await runCommand(["nsenter", `--net=${fabric}`, "ip", "route", "replace", to, "via", by]);
    }
  }
});
after(async () => await stack.disposeAsync());

const families = [4, 6] as const;
const protocols = ["tcp", "udp"] as const;

function atNode(from: string, node: number, family: 4 | 6, protocol: "tcp" | "udp"): ProbeSpec {
  return { from, to: addressOf(node, family), protocol, port: nodePort[protocol], family };
}

function atExternal(from: string, family: 4 | 6): ProbeSpec {
  return { from, to: external[family], protocol: "tcp", port: 80, family };
}

/** Says which of the probes came to something else. */
async function assertAll(probes: readonly ProbeSpec[], verdict: string): Promise<void> {
  const results = await lab.probe(probes);
  const others = results.filter((result) => result.verdict !== verdict);
  assert.deepEqual(others, [], `${others.length} of ${probes.length} are not ${verdict}`);
}

function everywhere(from: readonly string[], at: readonly number[] = [1, 2, 3]): ProbeSpec[] {
  return from.flatMap((client) =>
    at.flatMap((node) =>
      families.flatMap((family) =>
        protocols.map((protocol) => atNode(client, node, family, protocol)),
      ),
    ),
  );
}

const clients = ["bank", "shop/client", "shop/web", "node-1", "node-2", "node-3"] as const;

test("a node port is reached at every node by hosts outside, by pods and by the nodes", async () => {
  await assertAll(everywhere(clients), "allowed");
  const closed = everywhere(["bank"]).map((probe) => ({ ...probe, port: 31999 }));
  await assertAll(closed, "refused");
});

test("external addresses are reached from outside, from pods and from nodes; those of the cluster only inside", async () => {
  await assertAll(
    clients.flatMap((from) => families.map((family) => atExternal(from, family))),
    "allowed",
  );
  const inside = (from: string): ProbeSpec[] =>
    families.map((family) => ({
      ...atExternal(from, family),
      to: family === 4 ? "10.96.0.30" : "fd00:10:96::30",
    }));
  await assertAll(inside("bank"), "denied");
  await assertAll([...inside("shop/client"), ...inside("node-2")], "allowed");
});

test("policies see the client's own address, wherever it came in", async () => {
  const only = (...cidrs: readonly string[]): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [${cidrs.map((cidr) => `{ipBlock: {cidr: "${cidr}"}}`).join(", ")}]}]
`;
  await lab.apply(only("192.0.2.10/32", "2001:db8:2::10/128"));
  await lab.settle();
  await assertAll([...everywhere(["bank"]), atExternal("bank", 4)], "allowed");
  await assertAll([...everywhere(["office"]), atExternal("office", 6)], "denied");
  await lab.delete(networkPolicyKind, { namespace: "shop", name: "web" });
  await lab.settle();
});

test("by the policy Local only a node that has a backend answers clients outside", async () => {
  await lab.apply(web.replace("selector:", "externalTrafficPolicy: Local\n  selector:"));
  await lab.settle();
  await assertAll(everywhere(["bank"], [1, 2]), "denied");
  await assertAll(everywhere(["bank"], [3]), "allowed");
  // What is inside goes by Cluster.
  await assertAll(everywhere(["shop/client", "node-1"], [1, 2, 3]), "allowed");
  await lab.apply(web.replace("selector:", "externalTrafficPolicy: Cluster\n  selector:"));
  await lab.settle();
  await assertAll(everywhere(["bank"]), "allowed");
});

test("the node's own processes serve and use services, also their own", async () => {
  const port = 7443;
  // Listens at the second node's addresses, as an API server does.
  const script = `require("net").createServer((s) => s.end("node-2\\n")).listen(${port}, "::")`;
  await using _ = await listenOn("node-2", script);
  await lab.apply(`
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: host}
spec:
  type: NodePort
  clusterIP: 10.96.0.31
  ports: [{port: 443, targetPort: ${port}, nodePort: 30443}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: host, labels: {kubernetes.io/service-name: host}}
addressType: IPv4
ports: [{name: "", port: ${port}}]
endpoints: [{addresses: ["${addressOf(2, 4)}"], nodeName: node-2}]
`);
  await lab.settle();
  const to = (from: string): ProbeSpec[] => [
    { from, to: "10.96.0.31", protocol: "tcp", port: 443, family: 4 },
    ...[1, 2, 3].map(
      (node) =>
        ({ from, to: addressOf(node, 4), protocol: "tcp", port: 30443, family: 4 }) as const,
    ),
  ];
  const ready = { from: "node-1", to: addressOf(2, 4), protocol: "tcp", port, family: 4 } as const;
  await until("the listener", async () => (await lab.probe([ready]))[0]?.verdict === "allowed");
  await assertAll(["node-1", "node-2", "node-3", "shop/client"].flatMap(to), "allowed");
  await assertAll(to("bank").slice(1), "allowed");
});

test("UDP goes elsewhere at once when its backend is gone, and TCP elsewhere stays", async () => {
  await lab.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: echo}
spec:
  replicas: 1
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
        - {name: echo, image: isobar.io/listener, ports: [{containerPort: 5353, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: echo}
spec:
  clusterIP: 10.96.0.32
  selector: {app: echo}
  ports: [{port: 53, targetPort: 5353, protocol: UDP}]
`);
  await lab.settle();
  await using sender = await listenOn("shop/client", senderScript("10.96.0.32", 53));
  await until("an answer", () => sender.lines.length > 0);
  const [first] = sender.lines;
  const place = { namespace: "shop", name: "echo" };
  const scale = async (replicas: number): Promise<void> => {
    const body = { spec: { replicas } };
    await lab.client.patch(deploymentKind, place, { type: "merge-patch+json", body });
    await lab.settle();
  };
  await scale(0);
  await scale(1);
  // The same socket all the time: one connection, which would go on to the one that is gone.
  await until("an answer of another", () => sender.lines.at(-1) !== first);
});

test("a client comes back to its backend, past its agent's restart, until that is gone or time is over", async () => {
  const seconds = 3;
  await lab.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: many}
spec:
  replicas: 4
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      containers: [{name: many, image: isobar.io/listener, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: many}
spec:
  clusterIPs: ["10.96.0.33", "fd00:10:96::33"]
  clusterIP: 10.96.0.33
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: {app: many}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: ${seconds}}}
  ports: [{port: 80, targetPort: 8080}]
`);
  await lab.settle();
  const chosen = async (family: 4 | 6 = 4): Promise<string> => {
    const to = family === 4 ? "10.96.0.33" : "fd00:10:96::33";
    const probe = { from: "shop/client", to, protocol: "tcp", port: 80, family } as const;
    // All at once: nothing can have been remembered from one to the next.
    const results = await lab.probe(Array.from({ length: 10 }, () => probe));
    const names = new Set(results.map(({ answeredBy }) => answeredBy ?? "nobody"));
    assert.equal(names.size, 1, [...names].join());
    return [...names][0] ?? "";
  };
  await chosen(6);
  const choice = await chosen();
  await lab.kill("agent-node-1");
  assert.equal(await chosen(), choice);
  await lab.recovered();
  await chosen();
  const [namespace = "", name = ""] = (await chosen()).split("/");
  await lab.delete(podKind, { namespace, name });
  await lab.settle();
  const next = await chosen();
  assert.notEqual(next, `${namespace}/${name}`);
  // A fair choice among four: the same one again is likely once, and not for ever.
  await until("another choice", async () => {
    await sleep((seconds + 2) * 1_000);
    return (await chosen()) !== next;
  });
});

function senderScript(to: string, port: number): string {
  return `
    const socket = require("dgram").createSocket("udp4");
    socket.on("error", () => {});
    socket.on("message", (text) => process.stdout.write(text));
    socket.bind(45678, () => setInterval(() => socket.send("?", ${port}, "${to}"), 20));
  `;
}

interface Program extends AsyncDisposable {
  readonly lines: string[];
}

/** A program in the network namespace of a node or pod. */
async function listenOn(where: string, script: string): Promise<Program> {
  const netns = where.includes("/") ? lab.podNetns(where) : lab.nodeNetns(where);
  const child = spawn("nsenter", [`--net=${netns}`, process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => lines.push(...text.split("\n").filter(Boolean)));
  await once(child, "spawn");
  return {
    lines,
    async [Symbol.asyncDispose]() {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
  };
}
