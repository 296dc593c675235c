// What a runtime asks for: CNI specification 1.1.0, section 2.
import { type CniArguments, parseArguments } from "./arguments.ts";
import { CniError } from "./errors.ts";
import { type AttachmentName, type NetworkConfig, parseNetworkConfig } from "./network-config.ts";
import { parsePrevResult, type CniResult } from "./result.ts";
import { type CniVersion, isSince } from "./version.ts";

/** As the executable hands it over: the CNI_ variables, and its standard input. */
export interface CniInvocation {
  readonly environment: Readonly<Record<string, string>>;
  readonly config: string;
}

interface Attachment extends AttachmentName {
  readonly netns: string;
  readonly config: NetworkConfig;
}

/** ADD: the endpoint that the container is to be. */
interface AddRequest extends Attachment {
  readonly command: "ADD";
  /** `zone/name`. */
  readonly endpoint: string;
  /** Tells the endpoint's object from another of the same name. */
  readonly uid: string | undefined;
  readonly requestedAddresses: readonly string[];
  readonly requestedMac: string | undefined;
}

interface CheckRequest extends Attachment {
  readonly command: "CHECK";
  readonly prevResult: CniResult;
}

export type CniRequest =
  | AddRequest
  | CheckRequest
  | ({ readonly command: "DEL" } & AttachmentName)
  | {
      readonly command: "GC";
      readonly network: string;
      readonly valid: readonly AttachmentName[];
    }
  | { readonly command: "STATUS" };

const containerPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
/** Becomes part of labels in the switch's database. */
const longestContainer = 253;
/** Less than what Linux allows (dev_valid_name): without the characters that need care in scripts. */
const interfacePattern = /^[A-Za-z0-9_.-]{1,15}$/;
const endpointPattern = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

type Environment = CniInvocation["environment"];

function invalid(text: string, details?: string): CniError {
  return new CniError("invalidEnvironment", text, details);
}

function required(environment: Environment, names: readonly string[]): void {
  const missing = names.filter((name) => (environment[name] ?? "") === "");
  if (missing.length > 0) throw invalid(`${missing.join(" and ")} must be set`);
}

function attachmentName(environment: Environment): AttachmentName {
  const { CNI_CONTAINERID: container = "", CNI_IFNAME: name = "" } = environment;
  if (!containerPattern.test(container) || container.length > longestContainer) {
    const text = "CNI_CONTAINERID must begin with a letter or digit, go on with those, _ . and -, ";
    throw invalid(`${text}and have at most ${longestContainer} characters`, container);
  }
  if (!interfacePattern.test(name) || name === "." || name === "..") {
    throw invalid("CNI_IFNAME must be 1 to 15 letters, digits, _ . or -", name);
  }
  return { container, interface: name };
}

function netnsOf(environment: Environment): string {
  const netns = environment["CNI_NETNS"] ?? "";
  if (netns.startsWith("/")) return netns;
  throw invalid("CNI_NETNS must be the absolute path of a network namespace", netns);
}

/** @throws {CniError} when the arguments and the configuration name no endpoint */
function endpointOf(args: CniArguments, config: NetworkConfig): string {
  const { endpoint, podNamespace, podName } = args;
  const zone = endpoint === undefined ? (podNamespace ?? config.zone) : config.zone;
  const name = endpoint ?? podName;
  const id = name?.includes("/") === true || zone === undefined ? name : `${zone}/${name}`;
  const parts = id?.split("/") ?? [];
  if (parts.length === 2 && parts.every((part) => endpointPattern.test(part)))
    return parts.join("/");
  const hint =
    "K8S_POD_NAMESPACE and K8S_POD_NAME, or ISOBAR_ENDPOINT=ZONE/NAME; with `zone` in the network configuration a name";
  throw invalid(`CNI_ARGS must name the endpoint: ${hint}`, `got ${id ?? "no name"}`);
}

function parseAdd(environment: Environment, config: NetworkConfig): AddRequest {
  const args = parseArguments(environment["CNI_ARGS"] ?? "");
  // CONVENTIONS.md: what the configuration asks for counts, and the older arguments only without it.
  const fromArgs = args.address === undefined ? [] : [args.address.replace(/\/\d+$/, "")];
  const { requestedAddresses, requestedMac } = config;
  return {
    command: "ADD",
    ...attachmentName(environment),
    netns: netnsOf(environment),
    config,
    endpoint: endpointOf(args, config),
    uid: args.podUid,
    requestedAddresses: requestedAddresses.length > 0 ? requestedAddresses : fromArgs,
    requestedMac: requestedMac ?? args.mac,
  };
}

function parseCheck(environment: Environment, config: NetworkConfig): CheckRequest {
  if (config.prevResult === undefined) {
    throw new CniError("invalidConfig", "network configuration: CHECK needs prevResult");
  }
  return {
    command: "CHECK",
    ...attachmentName(environment),
    netns: netnsOf(environment),
    config,
    prevResult: parsePrevResult(config.prevResult),
  };
}

/** The version from which on the specification has the command. */
const since: Readonly<Record<string, CniVersion>> = {
  CHECK: "0.4.0",
  GC: "1.1.0",
  STATUS: "1.1.0",
};

/**
 * @throws {CniError} For DEL only when it does not say what to delete: whatever is wrong with the configuration, a
 *   container that is to go shall go.
 */
export function parseRequest({ environment, config: json }: CniInvocation): CniRequest {
  const command = environment["CNI_COMMAND"] ?? "";
  if (command === "DEL") {
    required(environment, ["CNI_CONTAINERID", "CNI_IFNAME"]);
    return { command, ...attachmentName(environment) };
  }
  if (command === "ADD" || command === "CHECK") {
    required(environment, ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]);
  }
  const config = parseNetworkConfig(json);
  const first = since[command];
  if (first !== undefined && !isSince(config.version, first)) {
    const text = `cniVersion ${config.version} has no ${command}: that came with ${first}`;
    throw new CniError("incompatibleVersion", text);
  }
  switch (command) {
    case "ADD":
      return parseAdd(environment, config);
    case "CHECK":
      return parseCheck(environment, config);
    case "GC": {
      const { name: network, validAttachments: valid } = config;
      if (valid === undefined) {
        const text = "network configuration: GC needs cni.dev/valid-attachments";
        throw new CniError("invalidConfig", text);
      }
      return { command, network, valid };
    }
    case "STATUS":
      return { command };
    default:
      throw invalid("CNI_COMMAND must be ADD, DEL, CHECK, GC or STATUS", command);
  }
}
