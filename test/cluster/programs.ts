// Where the cluster's programs are: built into a cache by tools/build-kubernetes.sh, which ./isobar test --cluster runs first.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Programs {
  /** Kubernetes' programs in one file: the first argument says which. */
  readonly kubernetes: string;
  /** What runs in containers. */
  readonly workload: string;
}

const build = fileURLToPath(new URL("../../tools/build-kubernetes.sh", import.meta.url));

/** Builds what is missing. @throws {Error} when there is no Go to do it */
export function findPrograms(): Programs {
  const printed = execFileSync(build, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const [kubernetes = "", workload = ""] = printed.split("\n");
  return { kubernetes, workload };
}
