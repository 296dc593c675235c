// The internal rule form: what every policy language compiles to, and the only thing that is enforced.
import type { PortProtocol } from "../net/protocol.ts";
import type { Labels } from "./endpoint.ts";

export interface SelectorRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  /** Not empty for In and NotIn; empty for the others. */
  readonly values: readonly string[];
}

/** A conjunction of requirements; the empty selector matches everything. */
export interface LabelSelector {
  readonly matchLabels: Labels;
  readonly matchExpressions: readonly SelectorRequirement[];
}

/** Zones by name or by labels. */
export type ZoneSelector =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "labels"; readonly selector: LabelSelector };

/** Endpoints that `endpoints` matches in zones that `zones` matches. */
export interface EndpointSelector {
  readonly zones: ZoneSelector;
  readonly endpoints: LabelSelector;
}

export type Peer =
  | ({ readonly kind: "endpoints" } & EndpointSelector)
  /** Addresses in `cidr` and in none of `except`; endpoints' addresses count as well. */
  | { readonly kind: "network"; readonly cidr: string; readonly except: readonly string[] }
  /** Every address of the nodes that `selector` matches; who else has such an address counts as well. */
  | { readonly kind: "nodes"; readonly selector: LabelSelector }
  /**
   * Addresses that the source has looked up under one of the names, in canonical form (`domain-name.ts`). Only in egress
   * rules that allow: nobody knows all addresses of a name, so a rule that denies would leave some open.
   */
  | { readonly kind: "domains"; readonly names: readonly string[] }
  /** Stands for input that could not be understood; matches nothing. Never in a rule that denies: widen that one. */
  | { readonly kind: "invalid"; readonly reason: string };

export type Service =
  /** Every port of the protocol. */
  | { readonly kind: "protocol"; readonly protocol: PortProtocol }
  /** Ports `from` to `to`, both included. */
  | {
      readonly kind: "ports";
      readonly protocol: PortProtocol;
      readonly from: number;
      readonly to: number;
    }
  /** The port that the destination endpoint calls by this name; never matches a destination without it. */
  | { readonly kind: "named"; readonly protocol: PortProtocol; readonly name: string }
  /** Stands for input that could not be understood; matches nothing. Never in a rule that denies: widen that one. */
  | { readonly kind: "invalid"; readonly reason: string };

/** `pass` ends the tier without a verdict. */
export type Action = "allow" | "deny" | "pass";

export interface Rule {
  /** Position in its policy's list for the direction, from 0; users see it from 1. */
  readonly index: number;
  readonly name?: string;
  readonly action: Action;
  /** `any` also matches addresses outside every network. An empty list matches nothing. */
  readonly peers: readonly Peer[] | "any";
  /** `any` also matches protocols without ports. An empty list matches nothing. */
  readonly services: readonly Service[] | "any";
}

/**
 * Evaluated in this order. In `admin`, `isobar` and `baseline` rules are tried by the policy's priority (of equal ones by
 * its id, code unit by code unit), then index, and the first that matches decides. In `networkpolicy` all rules are
 * equal: a subject that some policy isolates is denied unless a rule allows (Kubernetes NetworkPolicy v1).
 */
export const tiers = ["admin", "isobar", "networkpolicy", "baseline"] as const;
export type Tier = (typeof tiers)[number];

export type Direction = "ingress" | "egress";

export interface Policy {
  /** Unique and stable, e.g. `NetworkPolicy/shop/allow-web`. */
  readonly id: string;
  readonly tier: Tier;
  /** Lower is tried first; 0 in `networkpolicy`. */
  readonly priority: number;
  /** Where it could not be understood, wider rather than narrower, and then with no rule that allows or passes. */
  readonly subject: EndpointSelector;
  /** Directions in which the subject is denied by default; only in `networkpolicy`. */
  readonly isolates: readonly Direction[];
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
}
