// Kubernetes' own tests of Services on real packets over three nodes; docs/conformance.md lists them all.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { podKind } from "../../src/kinds/pod.ts";
import { runCommand } from "../../src/runtime/command.ts";
import { serviceCases } from "../conformance/services.ts";
import { until } from "./harness.ts";
import { ServiceRig, namespace } from "./service-rig.ts";

const listed = new Set(
  Object.values(serviceCases)
    .flat()
    .filter(({ result }) => result === "packets")
    .map(({ upstream }) => upstream),
);
const shown = new Set<string>();

let rig: ServiceRig;

before(async () => {
  rig = await ServiceRig.start();
});
after(async () => await rig[Symbol.asyncDispose]());

/** One test for the upstream cases of these names. */
function cases(names: readonly string[], run: () => Promise<void>): void {
  for (const name of names) {
    assert.ok(listed.has(name), `${name} is not among the cases`);
    shown.add(name);
  }
  test(names.join(" · "), run);
}

const servers = ["server-1", "server-2", "server-3"];
const nodes = ["node-1", "node-2", "node-3"];

function nodePortOf({ ports = [] }: { readonly ports?: readonly { nodePort?: number }[] }): number {
  return ports[0]?.nodePort ?? 0;
}

/** What a program in the network namespace is answered by HTTP or HTTPS, certificates checked. */
async function fetchFrom(netns: string, url: string): Promise<{ code: number; text: string }> {
  const authority = join(rig.lab.paths.directory, "certificates", "ca.crt");
  const script = `
    const { get } = require(new URL(process.argv[1]).protocol.slice(0, -1));
    const ca = require("fs").readFileSync(process.argv[2]);
    get(process.argv[1], { ca, timeout: 5000 }, (answer) => {
      let text = "";
      answer.on("data", (part) => (text += part));
      answer.on("end", () => console.log(JSON.stringify({ code: answer.statusCode, text })));
    });`;
  const run = [process.execPath, "-e", script, url, authority] as const;
  const output = await runCommand(["nsenter", `--net=${netns}`, ...run]);
  const answer: { code: number; text: string } = JSON.parse(output);
  return answer;
}

cases(["should provide secure master service"], async () => {
  const { code, text } = await fetchFrom(
    rig.lab.podNetns(`${namespace}/client-2`),
    "https://10.96.0.1/version",
  );
  assert.equal(code, 200);
  assert.match(text, /gitVersion/);
});

cases(
  [
    "should serve a basic endpoint from pods",
    "should function for pod-Service: http",
    "should function for node-Service: http",
    "should preserve source pod IP for traffic thru service cluster IP",
  ],
  async () => {
    await rig.service("basic");
    for (const from of [1, 2, 3, ...nodes]) {
      assert.deepEqual(await rig.answerers(from, "basic", { count: 40 }), servers);
    }
    // A policy that admits one client by its address shows that the servers see it.
    const { status } = await rig.lab.client.get(podKind, { namespace, name: "client-1" });
    await rig.lab.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: ${namespace}, name: one}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress: [{from: [{ipBlock: {cidr: ${status?.podIP ?? ""}/32}}]}]
`);
    await rig.lab.settle();
    assert.equal(await rig.verdict(1, "basic", { count: 9 }), "allowed");
    assert.equal(await rig.verdict(2, "basic"), "denied");
    const { networkPolicyKind } = await import("../../src/kinds/network-policy.ts");
    await rig.lab.delete(networkPolicyKind, { namespace, name: "one" });
    await rig.remove("basic");
  },
);

cases(
  [
    "should serve multiport endpoints from pods",
    "should be updated after adding or deleting ports",
    "should serve endpoints on same port and different protocols",
    "should function for pod-Service: udp",
    "should function for node-Service: udp",
    "should function for pod-Service: sctp",
    "should allow creating a basic SCTP service with pod and endpoints",
  ],
  async () => {
    const http = { name: "http", port: 80, targetPort: "http" };
    const udp = { name: "udp", port: 80, targetPort: "udp", protocol: "UDP" };
    // The switch's datapath in user space translates no ports of SCTP.
    const sctp = { name: "sctp", port: 8082, targetPort: "sctp", protocol: "SCTP" };
    await rig.service("ports", { ports: [http, udp] });
    for (const protocol of ["tcp", "udp"] as const) {
      assert.deepEqual(await rig.answerers(1, "ports", { protocol, count: 40 }), servers);
    }
    assert.equal(await rig.verdict("node-3", "ports", { protocol: "udp" }), "allowed");
    assert.notEqual(await rig.verdict(1, "ports", { port: 8082, protocol: "sctp" }), "allowed");
    await rig.patch("ports", { ports: [http, sctp] });
    assert.equal(await rig.verdict(1, "ports", { port: 8082, protocol: "sctp" }), "allowed");
    assert.notEqual(await rig.verdict(1, "ports", { protocol: "udp" }), "allowed");
    assert.equal(await rig.verdict(1, "ports"), "allowed");
    await rig.remove("ports");
  },
);

cases(["should allow pods to hairpin back to themselves through services"], async () => {
  await rig.pod("alone", { node: "node-2", app: "alone" });
  await rig.service("hairpin", { selector: { app: "alone" } });
  assert.deepEqual(await rig.answerers(`${namespace}/alone`, "hairpin", { count: 5 }), ["alone"]);
  await rig.deletePod("alone");
  await rig.remove("hairpin");
});

cases(
  [
    "should be able to up and down services",
    "should work after the service has been recreated",
    "should function for multiple endpoint-Services with same selector",
  ],
  async () => {
    const first = await rig.service("up-1");
    await rig.service("up-2");
    assert.deepEqual(await rig.answerers(1, "up-1", { count: 40 }), servers);
    await rig.remove("up-1");
    assert.equal(await rig.verdict(1, first.clusterIP ?? ""), "denied");
    assert.deepEqual(await rig.answerers(1, "up-2", { count: 40 }), servers);
    await rig.service("up-3");
    await rig.service("up-1");
    assert.deepEqual(await rig.answerers(2, "up-1", { count: 40 }), servers);
    assert.deepEqual(await rig.answerers(2, "up-3", { count: 40 }), servers);
    await rig.remove("up-1", "up-2", "up-3");
  },
);

cases(
  [
    "should be able to create a functioning NodePort service",
    "should have session affinity work for NodePort service",
    "should update nodePort: http",
    "should support externalTrafficPolicy=Local for type=NodePort",
  ],
  async () => {
    await rig.pod("extra", { node: "node-2", app: "extra" });
    const spec = await rig.service("nodeport", { type: "NodePort", selector: { app: "extra" } });
    const port = nodePortOf(spec);
    for (const from of [1, "node-1", "node-2", "internet"]) {
      for (const node of nodes) {
        assert.deepEqual(await rig.answerers(from, node, { port }), ["extra"], `${from} ${node}`);
      }
    }
    await rig.patch("nodeport", { externalTrafficPolicy: "Local" });
    assert.deepEqual(await rig.answerers("internet", "node-2", { port, count: 3 }), ["extra"]);
    assert.notEqual(await rig.verdict("internet", "node-1", { port }), "allowed");
    assert.deepEqual(await rig.answerers(1, "node-1", { port }), ["extra"]);
    await rig.patch("nodeport", {
      externalTrafficPolicy: "Cluster",
      selector: { app: "server" },
      sessionAffinity: "ClientIP",
    });
    const first = await rig.answerers("internet", "node-3", { port });
    assert.deepEqual(await rig.answerers("internet", "node-3", { port, count: 20 }), first);
    await rig.patch("nodeport", { type: "ClusterIP", sessionAffinity: "None" });
    assert.notEqual(await rig.verdict("internet", "node-2", { port }), "allowed");
    await rig.deletePod("extra");
    await rig.remove("nodeport");
  },
);

cases(
  [
    "should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node",
  ],
  async () => {
    await rig.service("external", { externalIPs: ["192.0.2.200"] });
    for (const from of [1, "node-2"]) {
      assert.deepEqual(await rig.answerers(from, "192.0.2.200", { count: 40 }), servers);
    }
    await rig.remove("external");
  },
);

cases(
  [
    "should be able to change the type from ExternalName to ClusterIP",
    "should be able to change the type from ExternalName to NodePort",
    "should be able to change the type from ClusterIP to ExternalName",
    "should be able to change the type from NodePort to ExternalName",
  ],
  async () => {
    await rig.service("type", { type: "ExternalName", externalName: "example.org" });
    const inside = await rig.patch("type", { type: "ClusterIP", externalName: null });
    assert.deepEqual(await rig.answerers(1, "type", { count: 40 }), servers);
    await rig.patch("type", { type: "ExternalName", externalName: "example.org" });
    assert.equal(await rig.verdict(1, inside.clusterIP ?? ""), "denied");
    const port = nodePortOf(await rig.patch("type", { type: "NodePort", externalName: null }));
    assert.equal(await rig.verdict("internet", "node-1", { port }), "allowed");
    await rig.patch("type", { type: "ExternalName", externalName: "example.org" });
    assert.notEqual(await rig.verdict("internet", "node-1", { port }), "allowed");
    await rig.remove("type");
  },
);

cases(
  [
    "should create endpoints for unready pods",
    "should be rejected when no endpoints exist",
    "should be rejected for evicted pods (no endpoints exist)",
    "should update endpoints: http",
  ],
  async () => {
    await rig.pod("late", { node: "node-1", app: "late" });
    await rig.service("late", { selector: { app: "late" } });
    assert.deepEqual(await rig.answerers(2, "late"), ["late"]);
    const setStatus = async (changes: object): Promise<void> => {
      const pod = await rig.lab.client.get(podKind, { namespace, name: "late" });
      await rig.lab.client.updateStatus(podKind, { ...pod, status: { ...pod.status, ...changes } });
    };
    await setStatus({ conditions: [{ type: "Ready", status: "False" }] });
    await rig.untilAnswered(["refused"], 2, "late");
    assert.equal(await rig.verdict("node-3", "late"), "refused");
    await rig.patch("late", { publishNotReadyAddresses: true });
    await rig.untilAnswered(["late"], 2, "late");
    await setStatus({ phase: "Failed", reason: "Evicted" });
    await rig.untilAnswered(["refused"], 2, "late");
    await rig.deletePod("late");
    await rig.remove("late");
  },
);

cases(
  [
    "should have session affinity work for service with type clusterIP",
    "should be able to switch session affinity for service with type clusterIP",
    "should have session affinity timeout work for service with type clusterIP",
  ],
  async () => {
    const timeout = (timeoutSeconds: number): object => ({ clientIP: { timeoutSeconds } });
    await rig.service("sticky", {
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: timeout(3_600),
    });
    const [first] = await rig.answerers(1, "sticky");
    for (let round = 0; round < 5; round++) {
      assert.deepEqual(await rig.answerers(1, "sticky", { count: 4 }), [first]);
    }
    await rig.patch("sticky", { sessionAffinity: "None", sessionAffinityConfig: null });
    assert.deepEqual(await rig.answerers(1, "sticky", { count: 40 }), servers);
    await rig.patch("sticky", { sessionAffinity: "ClientIP", sessionAffinityConfig: timeout(1) });
    const seen = new Set<string>();
    await until(
      "another server after the time",
      async () => {
        for (const name of await rig.answerers(2, "sticky")) seen.add(name);
        await new Promise((resolve) => setTimeout(resolve, 2_500));
        return seen.size > 1;
      },
      60_000,
    );
    await rig.remove("sticky");
  },
);

cases(
  [
    "should implement service.kubernetes.io/service-proxy-name",
    "should implement service.kubernetes.io/headless",
  ],
  async () => {
    for (const [name, label] of [
      ["other-proxy", { "service.kubernetes.io/service-proxy-name": "other" }],
      ["headless", { "service.kubernetes.io/headless": "" }],
    ] as const) {
      await rig.service(name, {}, { labels: label });
      assert.equal(await rig.verdict(1, name), "denied");
      await rig.service(name, {}, { labels: { ...label, [Object.keys(label)[0] ?? ""]: null } });
      assert.deepEqual(await rig.answerers(1, name, { count: 40 }), servers);
      await rig.remove(name);
    }
  },
);

cases(
  [
    "should respect internalTrafficPolicy=Local Pod to Pod",
    "should respect internalTrafficPolicy=Local Pod (hostNetwork: true) to Pod",
  ],
  async () => {
    await rig.pod("near", { node: "node-2", app: "near" });
    await rig.service("near", { selector: { app: "near" }, internalTrafficPolicy: "Local" });
    for (const from of [2, "node-2"]) assert.deepEqual(await rig.answerers(from, "near"), ["near"]);
    for (const from of [1, "node-1"]) assert.notEqual(await rig.verdict(from, "near"), "allowed");
    await rig.deletePod("near");
    await rig.remove("near");
  },
);

cases(
  [
    "should respect internalTrafficPolicy=Local Pod and Node, to Pod (hostNetwork: true)",
    "should function for service endpoints using hostNetwork",
  ],
  async () => {
    await rig.pod("host", {
      node: "node-3",
      app: "host",
      ports: [{ name: "http", containerPort: 10_180, hostPort: 10_180 }],
      spec: { hostNetwork: true },
    });
    const ports = [{ name: "http", port: 80, targetPort: 10_180 }];
    await rig.service("host", { selector: { app: "host" }, ports });
    for (const from of [1, 3, "node-1", "node-3"]) {
      assert.deepEqual(await rig.answerers(from, "host"), ["host"], String(from));
    }
    await rig.patch("host", { internalTrafficPolicy: "Local" });
    for (const from of [3, "node-3"]) assert.deepEqual(await rig.answerers(from, "host"), ["host"]);
    for (const from of [1, "node-1"]) assert.notEqual(await rig.verdict(from, "host"), "allowed");
    await rig.deletePod("host");
    await rig.remove("host");
  },
);

const internal = {
  Cluster:
    "should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster",
  Local:
    "should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local",
} as const;
const external = {
  Cluster:
    "should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster",
  Local:
    "should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local",
} as const;

cases(
  [
    ...Object.values(internal),
    ...Object.values(external),
    "should fail health check node port if there are only terminating endpoints",
    "should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes",
  ],
  async () => {
    const held = { node: "node-1", app: "ending", finalizers: ["test.isobar.io/held"] };
    await rig.pod("ending", held);
    const spec = await rig.service("ending", {
      type: "LoadBalancer",
      selector: { app: "ending" },
      externalTrafficPolicy: "Local",
    });
    const port = nodePortOf(spec);
    const health = `http://127.0.0.1:${spec.healthCheckNodePort}/healthz`;
    const codeAt = async (node: string): Promise<number> =>
      (await fetchFrom(rig.lab.nodeNetns(node), health)).code;
    await until("a healthy node", async () => (await codeAt("node-1")) === 200);
    assert.equal(await codeAt("node-2"), 503);
    await rig.deletePod("ending", 600);
    await until("a node that is not healthy", async () => (await codeAt("node-1")) === 503);
    assert.deepEqual(await rig.answerers(2, "ending"), ["ending"]);
    assert.deepEqual(await rig.answerers("internet", "node-1", { port }), ["ending"]);
    assert.notEqual(await rig.verdict("internet", "node-2", { port }), "allowed");
    const other = { internalTrafficPolicy: "Local", externalTrafficPolicy: "Cluster" };
    await rig.patch("ending", other, false);
    await until(
      "no way from another node",
      async () => (await rig.verdict(2, "ending")) !== "allowed",
    );
    assert.deepEqual(await rig.answerers(1, "ending"), ["ending"]);
    await rig.untilAnswered(["ending"], "internet", "node-2", { port });
    await until("no health check", async () => (await codeAt("node-1").catch(() => 0)) === 0);
    await rig.release("ending");
    await rig.remove("ending");
  },
);

cases(
  ["should support named targetPorts that resolve to different ports on different endpoints"],
  async () => {
    const http = (containerPort: number) => [{ name: "http", containerPort }];
    await rig.pod("named-1", { node: "node-1", app: "named", ports: http(9_001) });
    await rig.pod("named-2", { node: "node-2", app: "named", ports: http(9_002) });
    const ports = [{ name: "http", port: 80, targetPort: "http" }];
    await rig.service("named", { selector: { app: "named" }, ports });
    assert.deepEqual(await rig.answerers(3, "named", { count: 30 }), ["named-1", "named-2"]);
    await rig.deletePod("named-1");
    await rig.deletePod("named-2");
    await rig.remove("named");
  },
);

cases(
  [
    "should create service with ipv4 cluster ip",
    "should create service with ipv6 cluster ip",
    "should create service with ipv4,v6 cluster ip",
    "should create service with ipv6,v4 cluster ip",
  ],
  async () => {
    for (const ipFamilies of [["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]]) {
      const ipFamilyPolicy = ipFamilies.length === 2 ? "RequireDualStack" : "SingleStack";
      const spec = await rig.service("families", { ipFamilies, ipFamilyPolicy });
      assert.deepEqual(spec.ipFamilies, ipFamilies);
      for (const [name, family] of [
        ["IPv4", 4],
        ["IPv6", 6],
      ] as const) {
        if (!ipFamilies.includes(name)) continue;
        assert.deepEqual(await rig.answerers(1, "families", { family, count: 40 }), servers);
      }
      await rig.remove("families");
    }
  },
);

cases(
  [
    "should route traffic to an endpoint in the same zone when PreferSameZone is set",
    "should route traffic to an endpoint on the same node when PreferSameNode is set",
  ],
  async () => {
    // The lab's nodes 1 and 3 are in one zone, 2 is in another.
    await rig.service("close", { trafficDistribution: "PreferSameZone" });
    const far = ["server-1", "server-3"];
    assert.deepEqual(await rig.answerers(1, "close", { count: 40 }), far);
    assert.deepEqual(await rig.answerers(2, "close", { count: 40 }), ["server-2"]);
    await rig.patch("close", { trafficDistribution: "PreferSameNode" });
    for (const number of [1, 2, 3]) {
      const own = [`server-${number}`];
      await rig.untilAnswered(own, number, "close", { count: 20 });
    }
    await rig.remove("close");
  },
);

test("every case of the list that is said to be shown here has a test", () => {
  assert.deepEqual(
    [...listed].filter((name) => !shown.has(name)),
    [],
  );
});
