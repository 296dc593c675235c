// CNI_ARGS: pairs `KEY=VALUE`, separated by semicolons. kubelet's runtimes (containerd, CRI-O) pass the K8S_ ones, podman
// K8S_POD_NAME with the container's name, and IP and MAC for static ones.
import { CniError } from "./errors.ts";

export interface CniArguments {
  readonly podNamespace: string | undefined;
  readonly podName: string | undefined;
  /** Absent from runtimes of before 2021. */
  readonly podUid: string | undefined;
  /** `zone/name`, or a name in the configuration's zone. */
  readonly endpoint: string | undefined;
  readonly address: string | undefined;
  readonly mac: string | undefined;
}

const known = new Set([
  "IgnoreUnknown",
  "K8S_POD_NAMESPACE",
  "K8S_POD_NAME",
  "K8S_POD_UID",
  "K8S_POD_INFRA_CONTAINER_ID",
  "ISOBAR_ENDPOINT",
  "IP",
  "MAC",
]);

function invalid(text: string): CniError {
  return new CniError("invalidEnvironment", `CNI_ARGS: ${text}`);
}

function parsePairs(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const pair of text.split(";")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    if (at <= 0) throw invalid(`expected pairs KEY=VALUE, got ${JSON.stringify(pair)}`);
    pairs.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return pairs;
}

function parseBoolean(key: string, text: string): boolean {
  const lower = text.toLowerCase();
  if (lower === "1" || lower === "true") return true;
  if (lower === "0" || lower === "false") return false;
  throw invalid(`expected ${key} to be 1, true, 0 or false, got ${JSON.stringify(text)}`);
}

/** Of a key that is given twice the last value counts. @throws {CniError} `invalidEnvironment` */
export function parseArguments(text: string): CniArguments {
  const pairs = parsePairs(text);
  const ignoreUnknown = parseBoolean("IgnoreUnknown", pairs.get("IgnoreUnknown") ?? "0");
  const unknown = [...pairs.keys()].filter((key) => !known.has(key));
  if (unknown.length > 0 && !ignoreUnknown) {
    throw invalid(`unknown ${unknown.join(", ")} (IgnoreUnknown=1 passes over such)`);
  }
  const valueOf = (key: string): string | undefined => {
    const value = pairs.get(key);
    return value === "" ? undefined : value;
  };
  return {
    podNamespace: valueOf("K8S_POD_NAMESPACE"),
    podName: valueOf("K8S_POD_NAME"),
    podUid: valueOf("K8S_POD_UID"),
    endpoint: valueOf("ISOBAR_ENDPOINT"),
    address: valueOf("IP"),
    mac: valueOf("MAC"),
  };
}
