// The stream between agent and controller: one JSON object a line (UTF-8), over a Unix socket or TLS. The agent opens it
// and speaks first. Over TLS it proves which node it speaks for by its certificate or by the token in its hello.
//
//   agent                                controller
//   hello {node, token, have: digests} --->
//                                      <---  welcome {controller}
//                                      <---  delta 1 {revision, upserts, deletes}   all that differs from `have`, also if nothing
//   applied {revision}                 --->                                         the switch has its flows
//   ack {revision}                     --->                                         nothing passes any more that it takes away
//                                      <---  delta 2, 3, …                          changes
//   health {verdicts}                  --->                                         what its checks have found, when it is news
//   ping {}                            <-->  pong {}
//
// The first delta makes the agent's state complete. A controller sends it only once its own state is, for what the
// delta deletes is gone from the switch. An agent that misses a delta closes the stream and says hello anew.
import type { HealthVerdict } from "../model/health-check.ts";
import type { Resource, ResourceKey } from "./resources.ts";

export const protocolVersion = 1;

export interface Hello {
  readonly type: "hello";
  readonly version: number;
  readonly node: string;
  /** Proves that the agent runs on `node`; enrolment.ts says how it is made. */
  readonly token?: string;
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
  /** Counts the deltas of this stream from 1, so that lost, repeated and reordered ones are noticed. */
  readonly sequence: number;
  /** Grows by at least one from delta to delta of one controller instance. */
  readonly revision: number;
  readonly upserts: readonly Resource[];
  readonly deletes: readonly ResourceKey[];
}

/**
 * The switch has confirmed everything up to `revision`, and forwards by nothing older. `errors` name all resources that it does not take as they are
 * now; what they would allow is closed.
 */
export interface Ack {
  readonly type: "ack";
  readonly revision: number;
  readonly errors: readonly { readonly resource: ResourceKey; readonly message: string }[];
}

/** What the node's checks have found out. After a hello all there is, later what has changed. */
export interface Health {
  readonly type: "health";
  readonly verdicts: readonly HealthVerdict[];
}

/**
 * The switch has the flows of everything up to `revision`: the agent is not behind, although what passed before may still
 * pass. Looking for that takes its time on a busy node, and must not keep later changes from the switch.
 */
interface Applied {
  readonly type: "applied";
  readonly revision: number;
}

interface Ping {
  readonly type: "ping";
}
interface Pong {
  readonly type: "pong";
}

/** The peer is refused, e.g. another version or an unknown node; the stream is closed after it. */
interface Refuse {
  readonly type: "refuse";
  readonly reason: string;
}

export type AgentMessage = Hello | Applied | Ack | Health | Ping | Pong;
export type ControllerMessage = Welcome | DeltaMessage | Ping | Pong | Refuse;
