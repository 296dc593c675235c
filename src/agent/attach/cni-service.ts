// The agent's side of the CNI executable: requests become attachments, and what comes of them an answer as the
// specification wants it.
import { CniError, type CniErrorCode, cniErrorCodes } from "../../cni/errors.ts";
import { type CniRequest, parseRequest } from "../../cni/request.ts";
import { joinResults, parsePrevResult, renderResult, type CniResult } from "../../cni/result.ts";
import { type CniVersion, isCniVersion, newestCniVersion } from "../../cni/version.ts";
import { qualifiedName } from "../../model/source-name.ts";
import type { Log } from "../../runtime/log.ts";
import type {
  AttachFailure,
  Attached,
  CniInvocationRequest,
  CniReply,
} from "../../southbound/attachment.ts";
import type { AgentMetrics } from "../agent-metrics.ts";
import type { Attachments } from "./attachments.ts";
import { AttachError } from "../errors.ts";
import type { PendingRequests } from "./pending-requests.ts";

type RequestOf<Command extends CniRequest["command"]> = Extract<CniRequest, { command: Command }>;

export interface CniServiceOptions {
  /** The source of this node, and so of all endpoints that can be attached to it. */
  readonly source: string;
  readonly attachments: Attachments;
  /** Deletions that were noted while no agent answered. */
  readonly pending: Pick<PendingRequests, "settle">;
  readonly metrics: Pick<AgentMetrics, "cniRequests">;
  /** Why containers cannot be attached now; `undefined` when they can. */
  readonly unavailable: () => { readonly reason: string; readonly limited: boolean } | undefined;
  readonly log: Log;
}

export class CniService {
  readonly #options: CniServiceOptions;

  constructor(options: CniServiceOptions) {
    this.#options = options;
  }

  /** Never rejects: what goes wrong is an answer too. */
  async answer(invocation: CniInvocationRequest, cancelled: AbortSignal): Promise<CniReply> {
    const { cniRequests } = this.#options.metrics;
    try {
      const request = parseRequest(invocation);
      const output = await this.#perform(request, cancelled);
      cniRequests.inc({ command: request.command, result: "success" });
      return { type: "cni", exitCode: 0, ...(output === undefined ? {} : { output }) };
    } catch (error) {
      const failure = asCniError(error);
      const { CNI_COMMAND: command, CNI_CONTAINERID: container } = invocation.environment;
      const { code, message: reason, details } = failure;
      cniRequests.inc({ command: knownCommand(command), result: "failure" });
      this.#options.log.warn({ command, container, code, reason, details }, "a CNI request failed");
      return { type: "cni", exitCode: 1, output: renderError(versionOf(invocation), failure) };
    }
  }

  async #perform(request: CniRequest, cancelled: AbortSignal): Promise<object | undefined> {
    switch (request.command) {
      case "ADD":
        return await this.#add(request, cancelled);
      case "DEL": {
        const { container, interface: name } = request;
        await this.#options.attachments.detach({ type: "detach", container, interface: name });
        return undefined;
      }
      case "STATUS": {
        const unavailable = this.#options.unavailable();
        if (unavailable === undefined) return undefined;
        const code = unavailable.limited ? "notAvailableLimited" : "notAvailable";
        throw new CniError(code, unavailable.reason);
      }
      case "CHECK":
        await this.#check(request, cancelled);
        return undefined;
      case "GC":
        await this.#options.attachments.collect(request.network, request.valid);
        return undefined;
    }
  }

  async #check(request: RequestOf<"CHECK">, cancelled: AbortSignal): Promise<void> {
    const { netns, interface: name, prevResult } = request;
    const { interfaces, ips, routes } = prevResult;
    const index = interfaces.findIndex((one) => one.name === name && one.sandbox === netns);
    const own = interfaces[index];
    if (own === undefined) {
      const text = `network configuration: prevResult has no interface ${name} in ${netns}`;
      throw new CniError("invalidConfig", text);
    }
    const addresses = ips
      .filter((one) => one.interface === index)
      .map(({ address }) => address.replace(/\/\d+$/, ""));
    const destinations = routes.map(({ dst }) => dst);
    await this.#options.attachments.check(
      request,
      { netns, interface: name, mac: own.mac, addresses, routes: destinations },
      cancelled,
    );
  }

  async #add(request: RequestOf<"ADD">, cancelled: AbortSignal): Promise<object> {
    const { config, container, netns, interface: name, endpoint, uid, requestedMac } = request;
    const before = config.prevResult === undefined ? undefined : parsePrevResult(config.prevResult);
    await this.#options.pending.settle({ container, interface: name });
    const attached = await this.#options.attachments.attach(
      {
        type: "attach",
        endpoint: qualifiedName(this.#options.source, endpoint),
        container,
        netns,
        interface: name,
        timeoutMs: config.attachTimeoutMs,
        network: config.name,
        requestedAddresses: request.requestedAddresses,
        ...(uid === undefined ? {} : { uid }),
        ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
        ...(config.routes === undefined ? {} : { routes: config.routes }),
        ...(requestedMac === undefined ? {} : { requestedMac }),
      },
      cancelled,
    );
    const own = { ...resultOf(attached, netns), dns: config.dns };
    return renderResult(config.version, before === undefined ? own : joinResults(before, own));
  }
}

function resultOf(attached: Attached, netns: string): Omit<CniResult, "dns"> {
  const { hostInterface, interface: name, mac, mtu, addresses, gateways, routes } = attached;
  return {
    interfaces: [
      { name: hostInterface, mtu },
      { name, mac, mtu, sandbox: netns },
    ],
    ips: addresses.map((address, index) => {
      const gateway = gateways[index];
      return { address, ...(gateway === undefined ? {} : { gateway }), interface: 1 };
    }),
    routes: routes.map(({ destination, gateway }) => ({ dst: destination, gw: gateway })),
  };
}

/** How the specification names what may become of an attachment, and which variable is to blame. */
const failures: Readonly<Record<AttachFailure, readonly [code: CniErrorCode, prefix: string]>> = {
  timeout: ["tryAgainLater", ""],
  "unknown-endpoint": ["tryAgainLater", ""],
  "no-address": ["tryAgainLater", ""],
  "no-netns": ["invalidEnvironment", "CNI_NETNS: "],
  "netns-gone": ["unknownContainer", "CNI_NETNS: "],
  "interface-exists": ["invalidEnvironment", "CNI_IFNAME: "],
  refused: ["invalidConfig", ""],
  "unknown-container": ["unknownContainer", ""],
  faulty: ["checkFailed", ""],
  invalid: ["nodeFailure", ""],
  internal: ["nodeFailure", ""],
};

function asCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (!(error instanceof AttachError)) return new CniError("nodeFailure", String(error));
  const [code, prefix] = failures[error.code];
  return new CniError(code, prefix + error.message);
}

/** The version that the runtime speaks, as far as it can be made out. */
function versionOf({ config }: CniInvocationRequest): CniVersion {
  try {
    const value: unknown = JSON.parse(config);
    const version: unknown =
      typeof value === "object" && value !== null ? Reflect.get(value, "cniVersion") : undefined;
    return isCniVersion(version) ? version : newestCniVersion;
  } catch {
    return newestCniVersion;
  }
}

function renderError(cniVersion: CniVersion, { code, message, details }: CniError): object {
  const rest = details === "" ? {} : { details };
  return { cniVersion, code: cniErrorCodes[code], msg: message, ...rest };
}

/** The variable may hold anything; a metric's label has few values. */
function knownCommand(command: string | undefined): string {
  return command !== undefined && /^(ADD|DEL|CHECK|GC|STATUS|VERSION)$/.test(command)
    ? command
    : "unknown";
}
