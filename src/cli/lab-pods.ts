import { ApiClient } from "../client/api-client.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { podKind } from "../kinds/pod.ts";
import { resolvePods } from "../lab/ends.ts";
import type { LabPaths } from "../lab/paths.ts";

/** All pods of the lab. @throws {StatusError | UnavailableError} */
export async function fetchPods(paths: LabPaths): Promise<unknown[]> {
  const client = new ApiClient(loadKubeconfig(paths.kubeconfig), "isobar-cli");
  try {
    const { items } = await client.list(podKind);
    return items.map((pod) => ({ ...pod, kind: "Pod" }));
  } finally {
    await client.close();
  }
}

/** The pods that a name means, as `resolvePods` has it. */
export async function resolveLabPods(paths: LabPaths, text: string): Promise<string[]> {
  return resolvePods(await fetchPods(paths), text);
}
