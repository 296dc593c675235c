// The agent's local socket: one JSON request a line, one JSON reply a line, in order. The CNI executable, the lab and
// the CLI are its clients.

/** Gives a network namespace its interface; answers when the switch has confirmed the endpoint's policies. */
export interface AttachRequest {
  readonly type: "attach";
  /** `zone/name` of the endpoint. */
  readonly endpoint: string;
  /** Identifies the attachment together with `interface`; a repeated request is answered as the first. */
  readonly container: string;
  /** Path of the network namespace, e.g. `/run/netns/x`. */
  readonly netns: string;
  readonly interface: string;
  /** How long to wait for the controller's data and the switch's confirmation. */
  readonly timeoutMs: number;
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

export type LocalRequest = AttachRequest | DetachRequest | StatusRequest;

export interface Attached {
  readonly type: "attached";
  readonly interface: string;
  /** Name of the interface's other end, the switch's port. */
  readonly hostInterface: string;
  readonly mac: string;
  /** In CIDR form with the full width (`/32`, `/128`): everything is routed by `gateways`. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly mtu: number;
}

export interface Detached {
  readonly type: "detached";
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
}

interface LocalFailure {
  readonly type: "error";
  readonly code: "timeout" | "unknown-endpoint" | "no-address" | "invalid" | "internal";
  readonly message: string;
}

export type LocalReply = Attached | Detached | AgentStatus | LocalFailure;
