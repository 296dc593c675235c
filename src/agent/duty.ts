// Work of the agent that is retried until it succeeds, and what is said of it when it does not.
import type { Ack } from "../southbound/messages.ts";

export type Duty = "bridge" | "gateway" | "services" | "node" | "cni" | "dns";
/** `stragglers`: connections let in by packets that were on their way through the switch during the review. */
export type Review = "connections" | "stragglers";

/** Duties that the node's own stack has a part in. */
export type StackDuty = "gateway" | "services";

const failures: Readonly<Record<StackDuty, string>> = {
  gateway: "the node's way into the domain cannot be made",
  services: "node ports and external addresses cannot be taken",
};

/** A duty that is not done is an error of the node's domain. */
export function errorsOf(duty: StackDuty, domain: string): Ack["errors"] {
  const message = `${failures[duty]}: see the node's log`;
  return [{ resource: { kind: "domain", id: domain }, message }];
}
