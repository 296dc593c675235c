// The agent's local socket: one JSON request a line, one JSON reply a line, in order. The CNI executable, the lab and
// the CLI are its clients.

/** Gives a network namespace its interface; answers when the switch has confirmed the endpoint's policies. */
export interface AttachRequest {
  readonly type: "attach";
  /** `zone/name` of the endpoint. */
  readonly endpoint: string;
  /** A uid of the object that is attached; without it any object of the name will do. */
  readonly uid?: string;
  /** Identifies the attachment together with `interface`; a repeated request is answered as the first. */
  readonly container: string;
  /** Path of the network namespace, e.g. `/run/netns/x`. */
  readonly netns: string;
  readonly interface: string;
  /** How long to wait for the controller's data and the switch's confirmation. */
  readonly timeoutMs: number;
  /** The CNI network that it is an attachment to. */
  readonly network?: string;
  /** At most what the network between the nodes carries, which it is when absent. */
  readonly mtu?: number;
  /** Destinations that are reached through the interface, in CIDR form; absent is everything. */
  readonly routes?: readonly string[];
  /** Refused unless the endpoint has them. In canonical form. */
  readonly requestedAddresses?: readonly string[];
  readonly requestedMac?: string;
}

/** Always succeeds, also for what does not exist. */
export interface DetachRequest {
  readonly type: "detach";
  readonly container: string;
  readonly interface: string;
}

interface StatusRequest {
  readonly type: "status";
}

/** What a container runtime asks the CNI executable (src/cni/isobar.c), which passes it on as it is. */
export interface CniInvocationRequest {
  readonly type: "cni";
  /** The variables whose names begin with `CNI_`. */
  readonly environment: Readonly<Record<string, string>>;
  /** The executable's standard input. */
  readonly config: string;
}

export type LocalRequest = AttachRequest | DetachRequest | StatusRequest | CniInvocationRequest;

export interface Attached {
  readonly type: "attached";
  readonly interface: string;
  /** Name of the interface's other end, the switch's port. */
  readonly hostInterface: string;
  readonly mac: string;
  /** In CIDR form with the full width (`/32`, `/128`): everything is routed by `gateways`. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** Destinations that the container reaches through the interface, each with its next hop. */
  readonly routes: readonly { readonly destination: string; readonly gateway: string }[];
  readonly mtu: number;
}

export interface Detached {
  readonly type: "detached";
}

/** Something on the node that keeps the agent from its work, or that somebody should look at. */
export interface NodeProblem {
  /** Stable, for programs; docs/node.md lists them. */
  readonly code: string;
  readonly severity: "error" | "warning" | "advice";
  readonly message: string;
  /** What somebody can do. */
  readonly remedy: string;
}

/** What the agent found on its node when it last looked. */
export interface NodeReport {
  readonly bridge: string;
  readonly datapath: "system" | "netdev" | "dummy";
  /** Of Open vSwitch; absent while it has not answered. */
  readonly switchVersion?: string;
  /** Whether endpoints send TCP segments larger than their MTU, which the switch or the hardware cuts. */
  readonly segmentation: boolean;
  /** Whether the kernel fills in checksums before packets leave an endpoint. */
  readonly checksumInKernel: boolean;
  /** The node's addresses; the first is its end of the tunnels. */
  readonly addresses: readonly string[];
  readonly underlay: { readonly interfaces: readonly string[]; readonly mtu: number };
  readonly tunnelUdpPort: number;
  /** Of endpoints attached from now on. */
  readonly endpointMtu: number;
  /** Worst first. */
  readonly problems: readonly NodeProblem[];
}

export interface AgentStatus {
  readonly type: "status";
  readonly node: string;
  /** Name of the controller instance; `undefined` while the agent works from what it last knew (headless). */
  readonly controller?: string;
  /** Last revision that the switch has confirmed. */
  readonly revision: number;
  readonly switchConnected: boolean;
  readonly flows: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly endpoints: readonly { readonly id: string; readonly port: string }[];
  /** Absent until the agent has looked. */
  readonly nodeReport?: NodeReport;
  /** At which addresses the node answers DNS, and for how many Services; absent while it does not. */
  readonly dns?: { readonly addresses: readonly string[]; readonly services: number };
}

/** For the executable to print, and to end with. */
export interface CniReply {
  readonly type: "cni";
  readonly exitCode: 0 | 1;
  readonly output?: object;
}

export type AttachFailure =
  /** Not yet: what is missing may still come. */
  | "timeout"
  | "unknown-endpoint"
  | "no-address"
  /** Not so: something else must be asked for. */
  | "no-netns"
  | "netns-gone"
  | "interface-exists"
  | "refused"
  /** Not as it was made. */
  | "unknown-container"
  | "faulty"
  /** The node could not. */
  | "invalid"
  | "internal";

interface LocalFailure {
  readonly type: "error";
  readonly code: AttachFailure;
  readonly message: string;
}

export type LocalReply = Attached | Detached | AgentStatus | CniReply | LocalFailure;
