// The stream between agent and controller: one JSON object a line (UTF-8), over a Unix socket or mutually
// authenticated TLS. The agent opens it and speaks first.
//
//   agent                              controller
//   hello {node, have: digests}  --->
//                                <---  welcome {controller, revision}
//                                <---  delta {revision, upserts, deletes}   only what differs from `have`
//   ack {revision}               --->                                       the switch has confirmed it
//   ping {}                      <-->  pong {}
import type { Resource, ResourceKey } from "./resources.ts";

export const protocolVersion = 1;

export interface Hello {
  readonly type: "hello";
  readonly version: number;
  readonly node: string;
  /** `kind/id` → digest of every resource the agent holds. */
  readonly have: Readonly<Record<string, string>>;
}

export interface Welcome {
  readonly type: "welcome";
  readonly version: number;
  /** Name of the controller instance; new after each start. */
  readonly controller: string;
}

export interface DeltaMessage {
  readonly type: "delta";
  /** Grows by at least one from delta to delta of one controller instance. */
  readonly revision: number;
  readonly upserts: readonly Resource[];
  readonly deletes: readonly ResourceKey[];
}

/** The switch has confirmed everything up to `revision`; `errors` name resources that it could not take. */
export interface Ack {
  readonly type: "ack";
  readonly revision: number;
  readonly errors: readonly { readonly resource: ResourceKey; readonly message: string }[];
}

export interface Ping {
  readonly type: "ping";
}
export interface Pong {
  readonly type: "pong";
}

/** The peer is refused, e.g. another version or an unknown node; the stream is closed after it. */
export interface Refuse {
  readonly type: "refuse";
  readonly reason: string;
}

export type AgentMessage = Hello | Ack | Ping | Pong;
export type ControllerMessage = Welcome | DeltaMessage | Ping | Pong | Refuse;
