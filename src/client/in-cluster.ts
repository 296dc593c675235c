// What Kubernetes gives every pod to reach its API server: two variables and the files of its service account.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { KubeconfigError } from "./errors.ts";
import { type ClientConfig, defaultKubeconfigPath, loadKubeconfig } from "./kubeconfig.ts";

const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Stands for the service account where the path of a kubeconfig is expected. */
const inCluster = "in-cluster";

function isInCluster(environment: NodeJS.ProcessEnv): boolean {
  return Boolean(environment["KUBERNETES_SERVICE_HOST"] && environment["KUBERNETES_SERVICE_PORT"]);
}

/** `$KUBECONFIG`, else `in-cluster` within a cluster, else `~/.kube/config`. */
export function defaultConfigPath(environment: NodeJS.ProcessEnv = process.env): string {
  const isNamed = Boolean(environment["KUBECONFIG"]);
  return !isNamed && isInCluster(environment) ? inCluster : defaultKubeconfigPath(environment);
}

/** A kubeconfig, or the pod's service account for `in-cluster`. @throws {KubeconfigError} */
export function loadClientConfig(path: string): ClientConfig {
  return path === inCluster ? loadInCluster() : loadKubeconfig(path);
}

/**
 * The API server and the service account of the pod that this runs in. Its token and its authority are replaced under way:
 * the token is read anew with every request, the authority when it no longer fits. @throws {KubeconfigError}
 */
export function loadInCluster(
  environment: NodeJS.ProcessEnv = process.env,
  directory = serviceAccountDirectory,
): ClientConfig {
  const host = environment["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = environment["KUBERNETES_SERVICE_PORT"] ?? "";
  if (host === "" || port === "") {
    const names = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT";
    throw new KubeconfigError(`not in a cluster: ${names} are not set; name a kubeconfig`);
  }
  const read = (name: string): string => readAccountFile(join(directory, name));
  const authority = read("ca.crt");
  // A token that cannot be read for a moment is the last one that could.
  let last = read("token").trim();
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    authority,
    token: () => {
      try {
        last = read("token").trim() || last;
      } catch {
        // The server says whether the old one still counts.
      }
      return last;
    },
    namespace: namespaceIn(directory),
    renew: () => loadInCluster(environment, directory),
  };
}

function readAccountFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const hint = "does the pod have automountServiceAccountToken: false?";
    throw new KubeconfigError(`cannot read ${path} of the service account; ${hint}`, { cause });
  }
}

function namespaceIn(directory: string): string {
  try {
    return readFileSync(join(directory, "namespace"), "utf8").trim() || "default";
  } catch {
    return "default";
  }
}
