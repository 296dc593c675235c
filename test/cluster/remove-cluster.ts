import { cleanup } from "../../src/lab/network/cleanup.ts";
import { removeCgroups } from "./cgroups.ts";

/** Removes what there is of a cluster, also after a crash: with their first processes nodes lose all others and all mounts. */
export async function removeCluster(name: string, root: string): Promise<void> {
  await cleanup(name, root);
  removeCgroups(name);
}
