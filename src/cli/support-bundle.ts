import { readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { apiVersionOf } from "../apimachinery/object.ts";
import { ApiClient } from "../client/api-client.ts";
import { loadClientConfig } from "../client/in-cluster.ts";
import { configMapKind } from "../kinds/config-map.ts";
import { kinds } from "../kinds/kinds.ts";
import { type Pod, podKind } from "../kinds/pod.ts";
import { secretKind } from "../kinds/secret.ts";
import { netnsPath } from "../lab/network/command.ts";
import { netnsPrefix } from "../lab/network/plan.ts";
import { agentMetricsPort } from "../lab/installation.ts";
import { labPaths } from "../lab/paths.ts";
import { requireLab } from "../lab/start.ts";
import { runCommand } from "../runtime/command.ts";
import { Bundle } from "./bundle.ts";
import { collectNode } from "./bundle-node.ts";
import { readClusterFacts, readThroughProxy } from "./cluster-facts.ts";
import { judgeAfter, judgeBefore } from "./judge-cluster.ts";
import { judgeNode } from "./judge-node.ts";
import { readNodeFacts } from "./node-facts.ts";
import { redact } from "./redact.ts";

export interface BundleOptions {
  /** Where the archive goes; `-` is standard output. */
  readonly file?: string;
  readonly maxSizeMib: number;
}

const agentMetricsUrl = `http://127.0.0.1:${agentMetricsPort}/metrics`;
const namespaceOfLab = "isobar-system";
const mostLogBytes = 4 << 20;

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

async function bundleInto(
  options: BundleOptions,
  subject: string,
  collect: (bundle: Bundle) => Promise<void>,
): Promise<void> {
  const takenAt = new Date();
  const stamp = takenAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  const name = `isobar-support-${subject}-${stamp}`;
  const file = options.file ?? `${name}.tar.gz`;
  using bundle = new Bundle(name, options.maxSizeMib * (1 << 20));
  await collect(bundle);
  await bundle.finish(file, takenAt);
  // Standard output may be the archive.
  for (const { path, reason } of bundle.missing) {
    process.stderr.write(`isobar: without ${path}: ${reason.split("\n")[0]}\n`);
  }
  if (file !== "-") process.stderr.write(`isobar: wrote ${file}\n`);
}

async function collectObjects(bundle: Bundle, client: ApiClient): Promise<void> {
  // Secrets and ConfigMaps are other people's.
  for (const kind of kinds.filter((one) => one !== secretKind && one !== configMapKind)) {
    const group = kind.group === "" ? "" : `.${kind.group}`;
    await bundle.add(`objects/${kind.plural}${group}.yaml`, async () => {
      const { items } = await client.list(kind);
      const objects = items.map((item) => ({
        ...item,
        // The items of a list do not repeat their kind.
        apiVersion: apiVersionOf(kind),
        kind: kind.kind,
      }));
      return objects.map((object) => stringify(redact(object))).join("---\n");
    });
  }
}

async function collectPods(bundle: Bundle, client: ApiClient, namespace: string): Promise<void> {
  const { items } = await client.list(podKind, { namespace });
  for (const pod of items) {
    for (const { name } of pod.spec?.containers ?? []) {
      for (const previous of [false, true]) {
        if (previous && !hasRestarted(pod, name)) continue;
        const path = `logs/${pod.metadata.name}/${name}${previous ? ".previous" : ""}.log`;
        await bundle.add(path, async () => await readLog(client, pod, { name, previous }));
      }
    }
    await bundle.add(`metrics/${pod.metadata.name}.txt`, async () => {
      const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
      const port = ports.find(({ name }) => name === "metrics")?.containerPort;
      const text =
        port === undefined ? "" : await readThroughProxy(client, pod, `${port}/proxy/metrics`);
      if (text === undefined) throw new Error("the API server does not reach the pod, or may not");
      return text;
    });
  }
}

function hasRestarted({ status }: Pod, container: string): boolean {
  const found = (status?.containerStatuses ?? []).find(({ name }) => name === container);
  return (found?.restartCount ?? 0) > 0;
}

async function readLog(
  client: ApiClient,
  { metadata: { namespace, name } }: Pod,
  container: { readonly name: string; readonly previous: boolean },
): Promise<string> {
  const response = await client.open("GET", `/api/v1/namespaces/${namespace}/pods/${name}/log`, {
    accept: "*/*",
    query: {
      container: container.name,
      previous: container.previous,
      tailLines: 20_000,
      limitBytes: mostLogBytes,
    },
  });
  return await response.body.text();
}

export async function bundleCluster(
  options: BundleOptions & { readonly kubeconfig: string; readonly namespace: string },
): Promise<void> {
  const { kubeconfig, namespace } = options;
  const client = new ApiClient(loadClientConfig(kubeconfig), "isobar-support-bundle");
  try {
    await bundleInto(options, "cluster", async (bundle) => {
      await bundle.add("check.json", async () => {
        const facts = await readClusterFacts(client, namespace);
        return json([...judgeBefore(facts), ...judgeAfter(facts)]);
      });
      await collectObjects(bundle, client);
      await collectPods(bundle, client, namespace).catch((error: unknown) =>
        bundle.skip("logs", String(error)),
      );
      bundle.skip(
        "nodes",
        "flows and connections are had on the node: kubectl -n " +
          `${namespace} exec POD -c agent -- isobar support-bundle node --file - > node.tar.gz`,
      );
    });
  } finally {
    await client.close();
  }
}

export interface NodeBundleOptions extends BundleOptions {
  readonly runDir: string;
  readonly bridge: string;
}

export async function bundleNode(options: NodeBundleOptions): Promise<void> {
  const { runDir, bridge } = options;
  await bundleInto(options, hostname(), async (bundle) => {
    await bundle.add("check.json", async () => {
      const places = {
        cniConfDir: "/etc/cni/net.d",
        cniBinDir: "/opt/cni/bin",
        runDir,
        agentSocket: "/run/isobar/agent.sock",
      };
      const facts = await readNodeFacts(places);
      const wishes = { cniConfFile: "10-isobar.conflist", tunnelUdpPort: 4789 };
      return json({ facts, findings: judgeNode(facts, wishes) });
    });
    const databaseSocket = join(runDir, "db.sock");
    await collectNode(bundle, { path: "node", enter: [], runDir, databaseSocket, bridge });
  });
}

export async function bundleLab(options: BundleOptions & { readonly lab: string }): Promise<void> {
  const paths = labPaths(options.lab);
  const lab = await requireLab(paths);
  const client = new ApiClient(loadClientConfig(paths.kubeconfig), "isobar-support-bundle");
  try {
    await bundleInto(options, `lab-${lab.name}`, async (bundle) => {
      await bundle.add("status.json", () => json(lab));
      await bundle.add("check.json", async () =>
        json(judgeBefore(await readClusterFacts(client, namespaceOfLab))),
      );
      await collectObjects(bundle, client);
      for (const log of readdirSync(paths.directory).filter((name) => name.endsWith(".log"))) {
        bundle.addFile(`logs/${log}`, join(paths.directory, log));
      }
      for (const { name } of lab.nodes) {
        const runDir = join(paths.directory, "nodes", name);
        const netns = netnsPath(`${netnsPrefix(lab.name)}node.${name}`);
        const enter = ["nsenter", `--net=${netns}`, "--"] as const;
        await bundle.add(`nodes/${name}/metrics.txt`, async () => {
          const fetching = `process.stdout.write(await (await fetch("${agentMetricsUrl}")).text())`;
          const script = ["--input-type=module", "--eval", fetching] as const;
          return await runCommand([...enter, process.execPath, ...script]);
        });
        await collectNode(bundle, {
          path: `nodes/${name}`,
          enter,
          runDir,
          databaseSocket: join(runDir, "db.sock"),
          bridge: "br-int",
        });
      }
    });
  } finally {
    await client.close();
  }
}
