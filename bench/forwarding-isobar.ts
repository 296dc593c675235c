// Isobar in forwarding.bench.ts, and beside it, on the same switches, bridges that have nothing but one NORMAL flow.
import { execFileSync } from "node:child_process";
import { networkPolicyKind } from "../src/kinds/network-policy.ts";
import { podKind } from "../src/kinds/pod.ts";
import { podNetns } from "../src/lab/network/plan.ts";
import { TestLab } from "../test/lab/harness.ts";
import {
  type Host,
  type PathsByPlace,
  addNetns,
  attachHost,
  mtu,
  otherRules,
  runIn,
} from "./forwarding-path.ts";

const pods = { client: "node-1", near: "node-1", far: "node-2" } as const;
type Pod = keyof typeof pods;

const manifests = `
apiVersion: v1
kind: Namespace
metadata: { name: bench }
${Object.entries(pods)
  .map(
    ([name, node]) => `---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: bench, labels: { app: ${name === "client" ? name : "server"} } }
spec: { nodeName: ${node}, containers: [{ name: main, image: any }] }
`,
  )
  .join("")}`;

async function createPolicy(lab: TestLab): Promise<void> {
  await lab.client.create(networkPolicyKind, {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "bench", name: "server" },
    spec: {
      podSelector: { matchLabels: { app: "server" } },
      policyTypes: ["Ingress"],
      ingress: [
        { from: [{ podSelector: { matchLabels: { app: "client" } } }] },
        ...otherRules.map(({ address, port }) => ({
          from: [{ ipBlock: { cidr: `${address}/32` } }],
          ports: [{ protocol: "TCP", port }],
        })),
      ],
    },
  });
}

async function podHost(lab: TestLab, name: Pod): Promise<Host> {
  const pod = await lab.client.get(podKind, { namespace: "bench", name });
  const netns = lab.podNetns(`bench/${name}`);
  runIn(netns, `ip link set eth0 mtu ${mtu}`);
  return { netns, address: pod.status?.podIP ?? "" };
}

function control(lab: TestLab, node: string, ...args: readonly string[]): void {
  execFileSync("ovs-vsctl", [`--db=unix:${lab.nodeDirectory(node)}/db.sock`, ...args]);
}

/** Bridges with a host for each pod, and a tunnel between them under a number of its own. */
async function createPlain(lab: TestLab): Promise<Readonly<Record<Pod, Host>>> {
  const { nodes } = await lab.status();
  for (const [index, { name }] of nodes.entries()) {
    const remote = nodes[1 - index]?.address ?? "";
    control(
      lab,
      name,
      "add-br",
      "br-plain",
      "--",
      "set",
      "bridge",
      "br-plain",
      "datapath_type=netdev",
      "fail_mode=standalone",
    );
    control(
      lab,
      name,
      "add-port",
      "br-plain",
      "plain-tunnel",
      "--",
      "set",
      "interface",
      "plain-tunnel",
      "type=vxlan",
      `options:remote_ip=${remote}`,
      "options:key=7777",
    );
  }
  const hosts = Object.entries(pods).map(([pod, node], n) => {
    const netns = addNetns(podNetns(lab.paths.name, `plain/${pod}`));
    const host = { netns, address: `10.3.0.${n + 1}` };
    attachHost(lab.nodeNetns(node), `plain-${pod}`, host);
    control(lab, node, "add-port", "br-plain", `plain-${pod}`);
    return [pod, host] as const;
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Of the pods' names.
  return Object.fromEntries(hosts) as Record<Pod, Host>;
}

/** @returns the paths; the lab ends with the stack. */
export async function createIsobarPaths(stack: AsyncDisposableStack): Promise<PathsByPlace> {
  const lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(manifests);
  await createPolicy(lab);
  await lab.settle(120_000);
  const plain = await createPlain(lab);
  const [client, near, far] = await Promise.all(
    (["client", "near", "far"] as const).map(async (pod) => await podHost(lab, pod)),
  );
  const paths = (server: Host, plainServer: Host) => [
    { name: "Isobar", client: client!, server },
    { name: "OVS NORMAL", client: plain.client, server: plainServer },
  ];
  return { "one node": paths(near!, plain.near), "two nodes": paths(far!, plain.far) };
}
