// Kubeconfig files (v1 Config), as far as servers, certificates and tokens go. Exec plugins and OIDC are refused, not ignored.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parse as parseYaml } from "yaml";
import { isObject, type JsonObject } from "../apimachinery/json.ts";
import { KubeconfigError } from "./errors.ts";

export interface ClientConfig {
  /** `https://host:port`, perhaps with a path. */
  readonly server: string;
  /** The name that the server's certificate is for, where it is not the host. */
  readonly serverName?: string;
  /** PEM. The system's authorities when absent. */
  readonly authority?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** PEM. */
  readonly certificate?: string;
  /** PEM. */
  readonly key?: string;
  /** Asked for with every request: token files are renewed under way. */
  readonly token?: () => string;
  /** Where commands without a namespace go. */
  readonly namespace: string;
  /** Reads all of this again from where it came from. May throw while that is being replaced. */
  readonly renew?: () => ClientConfig;
}

/** `$KUBECONFIG` (its first file that exists), else `~/.kube/config`. */
export function defaultKubeconfigPath(environment: NodeJS.ProcessEnv = process.env): string {
  const paths = (environment["KUBECONFIG"] ?? "").split(":").filter((path) => path !== "");
  const found = paths.find((path) => existsSync(path)) ?? paths[0];
  return found ?? join(homedir(), ".kube", "config");
}

/** Reads the current context, or the one named. @throws {KubeconfigError} */
export function loadKubeconfig(path: string, contextName?: string): ClientConfig {
  const config = readDocument(path);
  const name = contextName ?? config["current-context"];
  if (typeof name !== "string" || name === "") {
    throw new KubeconfigError(`${path} has no current context`);
  }
  const context = pick(config, "contexts", name, path)["context"];
  if (!isObject(context)) throw new KubeconfigError(`${path}: context ${name} is empty`);
  const cluster = pick(config, "clusters", context["cluster"], path)["cluster"];
  const user = context["user"] ? pick(config, "users", context["user"], path)["user"] : {};
  if (!isObject(cluster)) throw new KubeconfigError(`${path}: the cluster of ${name} is empty`);
  const files = new Files(path);
  return {
    ...clusterOf(cluster, files),
    ...userOf(isObject(user) ? user : {}, files),
    namespace: textOf(context, "namespace") ?? "default",
    renew: () => loadKubeconfig(path, contextName),
  };
}

function readDocument(path: string): JsonObject {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(path, "utf8"));
  } catch (cause) {
    const why = existsSync(path) ? messageOf(cause) : "there is no such file";
    throw new KubeconfigError(`cannot read the kubeconfig ${path}: ${why}`, { cause });
  }
  if (isObject(document)) return document;
  throw new KubeconfigError(`${path} is not a kubeconfig`);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function pick(config: JsonObject, list: string, name: unknown, path: string): JsonObject {
  const items: unknown = config[list];
  const found: unknown = Array.isArray(items)
    ? items.find((item) => isObject(item) && item["name"] === name)
    : undefined;
  if (isObject(found)) return found;
  throw new KubeconfigError(`${path} has no entry ${JSON.stringify(name)} in ${list}`);
}

function clusterOf(
  cluster: JsonObject,
  files: Files,
): Pick<ClientConfig, "server" | "serverName" | "authority" | "insecureSkipTlsVerify"> {
  const server = textOf(cluster, "server");
  if (textOf(cluster, "proxy-url") !== undefined) {
    throw new KubeconfigError(`${files.path}: clusters behind a proxy-url are not supported`);
  }
  if (server === undefined) throw new KubeconfigError(`${files.path}: the cluster has no server`);
  const authority = files.dataOf(cluster, "certificate-authority");
  const insecureSkipTlsVerify = cluster["insecure-skip-tls-verify"] === true;
  const serverName = textOf(cluster, "tls-server-name");
  return {
    server,
    ...(serverName !== undefined && { serverName }),
    ...(authority !== undefined && { authority }),
    ...(insecureSkipTlsVerify && { insecureSkipTlsVerify }),
  };
}

function userOf(
  user: JsonObject,
  files: Files,
): Pick<ClientConfig, "certificate" | "key" | "token"> {
  for (const method of ["exec", "auth-provider", "username"]) {
    if (user[method] !== undefined) {
      throw new KubeconfigError(`${files.path}: users with ${method} are not supported`);
    }
  }
  const certificate = files.dataOf(user, "client-certificate");
  const key = files.dataOf(user, "client-key");
  const token = textOf(user, "token");
  const tokenFile = textOf(user, "tokenFile");
  return {
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token: () => token }),
    ...(tokenFile !== undefined && { token: () => files.read(tokenFile).trim() }),
  };
}

function textOf(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Files named in a kubeconfig, relative to it. */
class Files {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  read(path: string): string {
    const full = resolve(dirname(this.path), path);
    try {
      return readFileSync(full, "utf8");
    } catch (cause) {
      throw new KubeconfigError(`${this.path} names ${full}, which cannot be read`, { cause });
    }
  }

  /** `NAME-data` in base64, else the file that `NAME` is. */
  dataOf(object: JsonObject, name: string): string | undefined {
    const data = textOf(object, `${name}-data`);
    if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
    const path = textOf(object, name);
    return path === undefined ? undefined : this.read(path);
  }
}
