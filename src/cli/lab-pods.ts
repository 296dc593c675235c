import { ApiClient } from "../client/api-client.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { podKind } from "../kinds/pod.ts";
import { serviceKind } from "../kinds/service.ts";
import { resolvePods } from "../lab/ends.ts";
import type { LabPaths } from "../lab/paths.ts";

/** All pods and Services of the lab. @throws {StatusError | UnavailableError} */
export async function fetchPodsAndServices(paths: LabPaths): Promise<unknown[]> {
  const client = new ApiClient(loadKubeconfig(paths.kubeconfig), "isobar-cli");
  try {
    const [pods, services] = await Promise.all([client.list(podKind), client.list(serviceKind)]);
    return [
      ...pods.items.map((pod) => ({ ...pod, kind: "Pod" })),
      ...services.items.map((service) => ({ ...service, kind: "Service" })),
    ];
  } finally {
    await client.close();
  }
}

/** The pods that a name means, as `resolvePods` has it. */
export async function resolveLabPods(paths: LabPaths, text: string): Promise<string[]> {
  return resolvePods(await fetchPodsAndServices(paths), text);
}
