// What is measured in flow-programming.bench.ts: flows as the pipeline makes them, and what drifts among them.
import type { Flow, MatchField } from "../src/openflow/flow.ts";

const policyTable = 30;
const routeTable = 20;
const addressTable = 10;

const ipv4: MatchField = { field: "eth_type", value: 0x800n };
const tcp: MatchField = { field: "ip_proto", value: 6n };

/** Membership of a rule's group: a register and a port, as conjunctions use them. */
function policyFlow(n: number): Flow {
  return {
    table: policyTable,
    priority: 100 + (n % 50),
    cookie: 0x1000n + BigInt(n),
    match: [
      ipv4,
      tcp,
      { field: "tcp_dst", value: BigInt(n & 0xffff) },
      { field: "reg3", value: BigInt(n) },
    ],
    actions: [{ kind: "conjunction", id: n, clause: 1 + (n % 3), clauses: 3 }],
  };
}

/** An address that maps to an identity and a tunnel. */
function addressFlow(n: number): Flow {
  return {
    table: addressTable,
    priority: 10,
    cookie: 0x2000n,
    match: [
      { field: "reg1", value: BigInt(n) },
      { field: "metadata", value: 5n, mask: 0xffffn },
    ],
    actions: [
      { kind: "set-field", field: "reg2", value: BigInt(n & 0xfff), mask: 0xffffn },
      { kind: "set-field", field: "tun_dst", value: 0xac100000n + BigInt(n & 0xff) },
    ],
  };
}

/** A route to one endpoint. */
function routeFlow(n: number): Flow {
  return {
    table: routeTable,
    priority: 50,
    cookie: 0x3000n,
    match: [ipv4, { field: "ip_dst", value: BigInt(n), mask: 0xffffffffn }],
    actions: [
      { kind: "set-field", field: "eth_dst", value: 0x0a0000000000n + BigInt(n) },
      { kind: "dec-ttl" },
    ],
    gotoTable: policyTable,
  };
}

/** Half policy, a quarter each of the others; no two flows are the same entry of the switch. */
export function flowsOf(length: number): Flow[] {
  const make = [policyFlow, addressFlow, policyFlow, routeFlow];
  return Array.from({ length }, (_, n) => make[n % make.length]!(n));
}

export interface Drift {
  /** Of the flows: to be taken away. */
  readonly missing: readonly Flow[];
  /** In the place of flows: the same entries with other actions. */
  readonly changed: readonly Flow[];
  /** Flows that nobody wants. */
  readonly foreign: readonly Flow[];
}

/** One flow in a hundred differs, in equal parts missing, changed and foreign. */
export function driftOf(flows: readonly Flow[]): Drift {
  const third = Math.max(1, Math.round(flows.length / 300));
  const step = Math.floor(flows.length / (2 * third));
  const picked = Array.from({ length: 2 * third }, (_, index) => flows[index * step]!);
  return {
    missing: picked.slice(0, third),
    changed: picked
      .slice(third)
      .map((flow) => ({ ...flow, actions: [{ kind: "output" as const, port: 1 }] })),
    foreign: Array.from({ length: third }, (_, n) => ({ ...policyFlow(n), table: 99 })),
  };
}
