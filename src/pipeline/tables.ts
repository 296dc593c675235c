// The tables of the pipeline, in the order in which a packet meets them. Code names a table, never its number; this list
// and docs/ovs-pipeline.md, which is rendered from it, are the only places with numbers.

import { namesOf } from "./names.ts";

export interface Table {
  readonly number: number;
  /**
   * What happens to a packet that no flow matches: dropped and counted; on to the next table that asks; or back to the
   * caller of a function.
   */
  readonly miss: "drop" | "continue" | "return";
  readonly purpose: string;
  /** Has a place in the order and no flows yet; nothing goes there. */
  readonly reserved?: true;
}

function step(number: number, purpose: string): Table {
  return { number, miss: "drop", purpose };
}

/** Only some packets are decided here. */
function sieve(number: number, purpose: string): Table {
  return { number, miss: "continue", purpose };
}

function place(number: number, purpose: string): Table {
  return { number, miss: "drop", purpose, reserved: true };
}

/** Called by resubmit with an address in `argument`; the answer is in the `result…` registers, zero when unknown. */
function callee(number: number, purpose: string): Table {
  return { number, miss: "return", purpose };
}

export const tables = {
  Classify: step(0, "Where the packet came in: a local endpoint, a peer's tunnel, the gateway."),
  TunnelDomain: step(2, "Which domain a tunnelled packet belongs to, by its VNI."),
  SpoofGuard: step(4, "Only the MAC and addresses that the port's endpoint owns."),
  Neighbour: step(6, "ARP and neighbour solicitations answered here; only routed unicast passes."),
  NeighbourAnswer: step(7, "Second half of a neighbour advertisement."),
  Sender: step(8, "Identity and region of a source that is not a local endpoint."),
  SenderCheck: step(9, "The sender may be where the packet came from."),
  Conntrack: step(
    10,
    "Connection tracking in the domain's zone; known connections are translated.",
  ),
  HairpinReply: step(11, "What answers a hairpin connection: tracked as the client knows it."),
  ConntrackState: step(12, "Known connections bypass the policies, broken ones are dropped."),
  Source: step(14, "Region of a local endpoint's address."),
  Redirect: place(18, "Service insertion: sends chosen connections through a function."),
  NodeAddress: sieve(19, "Whether a node's address is meant, where node ports are."),
  Service: sieve(20, "Services: has a backend picked for each virtual address and port."),
  Choice: step(21, "Services with affinity: the backend that the client has had, or a new one."),
  Remember: step(22, "Services with affinity: the client is to have this backend again."),
  Backend: step(23, "Address and port of the backend that was picked."),
  Destination: step(24, "Identity, region and location of the destination address."),
  Route: step(25, "Which ways through the node are allowed, and who is asked on them."),
  Transport: sieve(28, "Protocol and destination port into one register."),
  EgressGate: sieve(30, "Egress policies are enforced for local sources only."),
  EgressAdmin: sieve(31, "Egress rules of the admin tier."),
  EgressIsobar: sieve(32, "Egress rules of the isobar tier."),
  EgressRule: sieve(33, "Egress rules of the networkpolicy tier."),
  EgressPosture: step(34, "Isolated sources end here, open ones go on."),
  EgressBaseline: sieve(35, "Egress rules of the baseline tier, then the domain's default."),
  IngressGate: sieve(40, "Ingress policies are enforced for local destinations only."),
  IngressAdmin: sieve(41, "Ingress rules of the admin tier."),
  IngressIsobar: sieve(42, "Ingress rules of the isobar tier."),
  IngressRule: sieve(43, "Ingress rules of the networkpolicy tier."),
  IngressPosture: step(44, "Isolated destinations end here, open ones go on."),
  IngressBaseline: sieve(45, "Ingress rules of the baseline tier, then the domain's default."),
  Commit: step(50, "The connection becomes known, with the rules that admitted it."),
  Forward: step(55, "What a router does to every packet: one hop less, its own MAC as the source."),
  Output: step(60, "To the local port, the gateway, or with the domain's VNI to the tunnel."),
  TunnelOutput: step(61, "To the node where the destination is."),
  Hairpin: step(62, "Back to the port that it came from, under an address that answers come to."),
  HairpinOutput: step(63, "Second half of a hairpin."),
  Endpoint: callee(100, "Function: address in a domain to identity and location."),
  Region: callee(101, "Function: address to the most specific network that a policy names."),
  Name: callee(102, "Function: address that a local source has looked up to the names it has."),
  Watch: callee(103, "Function: shows a DNS message to the agent, while there is one."),
  Affinity: callee(104, "Function: the backend that a client has had; its flows are learnt."),
} as const satisfies Record<string, Table>;

export type TableName = keyof typeof tables;

export const tableNames: readonly TableName[] = namesOf(tables);

/** @returns the name of the table with that number, if there is one. */
export function tableNamed(number: number): TableName | undefined {
  return tableNames.find((name) => tables[name].number === number);
}
