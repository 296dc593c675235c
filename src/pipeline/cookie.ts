// What a flow's cookie and a connection's label say about why traffic passed or not.
//
//   63      56 55      48 47      40 39      32 31                0
//   +---------+----------+----------+----------+-----------------+
//   |  0x1b   | feature  | direction| verdict  | number          |
//   +---------+----------+----------+----------+-----------------+
//
// The number is that of a rule, an identity, a domain, a node, a port, a table or a reason, as the feature says.
import type { Action, Direction } from "../model/policy.ts";
import { namesOf } from "./names.ts";

const owner = 0x1bn;

/** What made the flow, and what its number counts. */
export const features = {
  plumbing: { code: 1, counts: "table" },
  miss: { code: 2, counts: "table" },
  refusal: { code: 3, counts: "reason" },
  port: { code: 4, counts: "port" },
  address: { code: 5, counts: "identity" },
  domain: { code: 6, counts: "domain" },
  node: { code: 7, counts: "node" },
  region: { code: 8, counts: "region" },
  clause: { code: 9, counts: "none" },
  rule: { code: 10, counts: "rule" },
  posture: { code: 11, counts: "identity" },
  service: { code: 12, counts: "service" },
  backend: { code: 13, counts: "backend" },
  names: { code: 14, counts: "names" },
  /** Tells DNS messages to the agent. */
  watch: { code: 15, counts: "port" },
  /** Which backend a client has had; the switch makes these by itself. */
  affinity: { code: 16, counts: "service" },
  /** Brings DNS queries to the node. */
  resolver: { code: 17, counts: "none" },
} as const satisfies Record<string, { code: number; counts: string }>;

export type FeatureName = keyof typeof features;

/** Drops that no policy asked for. */
export const refusals = {
  invalidState: 1,
  noEndpoint: 2,
  unroutable: 3,
  neighbourMessage: 4,
  vlanTag: 5,
  /** Belongs to a connection that was admitted once and is not any more. */
  revoked: 6,
  /** A virtual address has no service at this port. */
  noService: 7,
  /** A service has no backend that the client may be sent to. */
  noBackend: 8,
  /** The client is in none of the networks that may use the service's address. */
  sourceRange: 9,
} as const;
export type Refusal = keyof typeof refusals;

const directions = { egress: 1, ingress: 2 } as const satisfies Record<Direction, number>;
const verdicts = { allow: 1, deny: 2, pass: 3 } as const satisfies Record<Action, number>;

export interface Cookie {
  readonly feature: FeatureName;
  readonly direction?: Direction;
  readonly verdict?: Action;
  /** 0 to 2^32 - 1. */
  readonly number: number;
}

export function encodeCookie(cookie: Cookie): bigint {
  const direction = cookie.direction === undefined ? 0 : directions[cookie.direction];
  const verdict = cookie.verdict === undefined ? 0 : verdicts[cookie.verdict];
  const high =
    (owner << 24n) | BigInt((features[cookie.feature].code << 16) | (direction << 8) | verdict);
  return (high << 32n) | BigInt(cookie.number);
}

function nameOf<Name extends string>(
  codes: Readonly<Record<Name, number>>,
  code: number,
): Name | undefined {
  return namesOf(codes).find((name) => codes[name] === code);
}

/** `undefined` for the cookie of a flow that the pipeline did not make. */
export function decodeCookie(cookie: bigint): Cookie | undefined {
  const byte = (shift: bigint): number => Number((cookie >> shift) & 0xffn);
  const feature = namesOf(features).find((name) => features[name].code === byte(48n));
  if (BigInt(byte(56n)) !== owner || feature === undefined) return undefined;
  const direction = nameOf(directions, byte(40n));
  const verdict = nameOf(verdicts, byte(32n));
  return {
    feature,
    ...(direction === undefined ? {} : { direction }),
    ...(verdict === undefined ? {} : { verdict }),
    number: Number(cookie & 0xffffffffn),
  };
}

/** What admitted a connection in one direction, when it was no rule; rules' numbers begin above them. */
export const reservedDecisions = { notHere: 0, open: 1, ownNode: 2, itself: 3 } as const;

export type Admission =
  | { readonly kind: "rule"; readonly number: number }
  /** Nothing is enforced on this node: that end is elsewhere. */
  | { readonly kind: "notHere" }
  /** No policy isolates that end, and no rule decided. */
  | { readonly kind: "open" }
  /** The endpoint's own node always reaches it. */
  | { readonly kind: "ownNode" }
  /** Nobody is kept from itself. */
  | { readonly kind: "itself" };

function decodeAdmission(number: number): Admission {
  const kind = nameOf(reservedDecisions, number);
  return kind === undefined ? { kind: "rule", number } : { kind };
}

/** Reads the `ct_label` of a connection that the pipeline committed. */
export function decodeLabel(label: bigint): { egress: Admission; ingress: Admission } {
  return {
    egress: decodeAdmission(Number(label & 0xffffffffn)),
    ingress: decodeAdmission(Number((label >> 32n) & 0xffffffffn)),
  };
}
