import type { Tier } from "../model/policy.ts";

export type Answer = "allow" | "deny";

/** Points at one rule; users count rules from 1, the index counts from 0. */
export interface RuleReference {
  /** The policy's id. */
  readonly policy: string;
  readonly rule: number;
}

/** What decided in one direction. */
export type Decision =
  | ({ readonly kind: "rule"; readonly verdict: Answer; readonly tier: Tier } & RuleReference)
  /** No rule of any tier decided: the domain's default. */
  | { readonly kind: "default"; readonly verdict: "allow" }
  /** Ids of the policies that isolate the subject, sorted; no rule of any policy matched. */
  | { readonly kind: "isolated"; readonly verdict: "deny"; readonly policies: readonly string[] }
  /** The node that an endpoint is on always reaches it, as Kubernetes asks. */
  | { readonly kind: "own-node"; readonly verdict: "allow" }
  /** An endpoint always reaches itself. */
  | { readonly kind: "itself"; readonly verdict: "allow" }
  /** This end is no endpoint, so nothing is enforced there. */
  | { readonly kind: "outside"; readonly verdict: "allow" }
  /** The packet, or an end of it, could not be understood, or there is no such thing. */
  | { readonly kind: "unknown"; readonly verdict: "deny"; readonly reason: string };

/** Both directions must allow. Both are judged, also where the first denies. */
export interface Verdict {
  readonly verdict: Answer;
  /** At the source. */
  readonly egress: Decision;
  /** At the destination. */
  readonly ingress: Decision;
}
