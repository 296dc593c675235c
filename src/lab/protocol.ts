// The lab daemon's socket: one request a stream, any number of replies, the last one `done` or `error`.
import type { ProcessStatus } from "./supervisor.ts";

export type ProbeProtocol = "tcp" | "udp" | "sctp";

/** An end of a probe: a pod (`namespace/name`), an external host by name, or a plain address as destination. */
export interface ProbeSpec {
  readonly from: string;
  readonly to: string;
  readonly protocol: ProbeProtocol;
  readonly port: number;
  readonly family: 4 | 6;
}

export interface ProbeResult extends ProbeSpec {
  /** `refused`: the packets arrived, and nothing listens there. `error`: the probe itself failed. */
  readonly verdict: "allowed" | "denied" | "refused" | "error";
  readonly milliseconds: number;
  /** Who answered, as it names itself. */
  readonly answeredBy?: string;
  readonly message?: string;
}

export type LabRequest =
  /** Replies `progress` until the lab is up, then `status`. */
  | { readonly type: "wait-until-up" }
  | { readonly type: "status" }
  /** Replies `probe-result` for each, in the order in which they end. */
  | { readonly type: "probe"; readonly probes: readonly ProbeSpec[] }
  /** Replies `progress` until every pod runs and every node has confirmed all that the API server holds now. */
  | { readonly type: "settle"; readonly timeoutMs: number }
  | { readonly type: "stop" };

export interface LabNodeStatus {
  readonly name: string;
  readonly address: string;
  readonly pods: number;
  readonly flows: number;
  /** Whether it has confirmed everything that the controller told it. */
  readonly inForce: boolean;
  readonly controllerConnected: boolean;
}

export interface ExternalHost {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ports: readonly string[];
}

export interface LabStatus {
  readonly name: string;
  readonly server: string;
  readonly kubeconfig: string;
  readonly directory: string;
  readonly nodes: readonly LabNodeStatus[];
  readonly externalHosts: readonly ExternalHost[];
  readonly pods: Readonly<Record<string, number>>;
  readonly processes: readonly ProcessStatus[];
}

export type LabReply =
  | { readonly type: "progress"; readonly text: string }
  | { readonly type: "status"; readonly status: LabStatus }
  | { readonly type: "probe-result"; readonly result: ProbeResult }
  | { readonly type: "done" }
  | { readonly type: "error"; readonly message: string };
