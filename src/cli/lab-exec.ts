import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "../apimachinery/errors.ts";
import { ApiClient } from "../client/api-client.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { serviceKind } from "../kinds/service.ts";
import { execInNetns } from "../lab/network/exec.ts";
import { netnsPath } from "../lab/network/command.ts";
import { netnsPrefix, podNetns } from "../lab/network/plan.ts";
import { type LabPaths, labPaths } from "../lab/paths.ts";
import { requireLab } from "../lab/start.ts";
import { CliError } from "./errors.ts";
import { resolveLabPods } from "./lab-pods.ts";

/** The command's exit code becomes this process's. @throws {CliError} when there is no such pod or host */
export async function labExec(
  target: string,
  command: readonly string[],
  { lab }: { readonly lab: string },
): Promise<void> {
  const paths = labPaths(lab);
  await requireLab(paths);
  const [program, ...args] = command;
  if (program === undefined) throw new CliError("expected a command after --");
  const [pod] = target.includes("/") ? await resolveLabPods(paths, target) : [];
  const candidates =
    pod === undefined
      ? [`${netnsPrefix(lab)}external.${target}`, `${netnsPrefix(lab)}node.${target}`]
      : [podNetns(lab, pod)];
  const netns = candidates.map(netnsPath).find((path) => existsSync(path));
  if (netns === undefined) throw new CliError(`there is no pod, node or external host ${target}`);
  const resolverFile = pod === undefined ? undefined : await writeResolverFile(paths, pod);
  const options = resolverFile === undefined ? {} : { resolverFile };
  process.exitCode = await execInNetns(netns, [program, ...args], options);
}

/** Of the Service and the names that the lab answers for. */
const clusterZone = "cluster.local";
const dnsService = { namespace: "kube-system", name: "kube-dns" } as const;

/** What a kubelet writes for pods of the namespace; `undefined` where the lab has no DNS. */
async function writeResolverFile(paths: LabPaths, pod: string): Promise<string | undefined> {
  const client = new ApiClient(loadKubeconfig(paths.kubeconfig), "isobar-cli");
  try {
    const { spec } = await client.get(serviceKind, dnsService);
    const [namespace = ""] = pod.split("/");
    const file = join(paths.directory, `resolv.conf.${namespace}`);
    const servers = (spec?.clusterIPs ?? []).map((address) => `nameserver ${address}\n`);
    const search = [`${namespace}.svc`, "svc"].map((part) => `${part}.${clusterZone}`);
    const lines = `search ${[...search, clusterZone].join(" ")}\noptions ndots:5\n`;
    writeFileSync(file, servers.join("") + lines);
    return file;
  } catch (error) {
    if (error instanceof StatusError && error.status.code === 404) return undefined;
    throw error;
  } finally {
    await client.close();
  }
}
