// Which priorities a rule's flows have. A rule is a conjunction of up to three clauses: its subjects, its peers and its
// services, of which "any" is none. Flows of several rules with the same match are one flow that lists the conjunctions;
// that list must fit into one OpenFlow message, and a flow with it may do nothing else.
import type { RuleResource } from "../southbound/resources.ts";
import { numberRanges } from "./numbers.ts";
import { placeCount } from "./rule-places.ts";

export interface RuleSlot {
  /** Of the clauses and the verdict. */
  readonly priority: number;
  /** Of the flows that decide by the subject alone. */
  readonly directPriority: number;
}

/** Flows of rules that cannot be enforced, and drop their subjects' traffic. */
export const blockedPriority = 65_000;

/** Conjunctions in one flow: each takes 16 bytes of a message of at most 64 KiB. */
export const longestList = 3_500;

/** In `networkpolicy` the rules are equal, so priorities only keep flows short: each band has its own. */
const firstBandPriority = 40_000;
const equalDirectPriority = 50_000;

/** @returns the slot of a rule of `networkpolicy` with that number, or in words why it has none. */
export function equalSlotOf(number: number): RuleSlot | string {
  const band = Math.floor((number - numberRanges.rule.first) / longestList);
  if (band >= firstBandPriority) return "there are too many rules";
  return { priority: firstBandPriority - band, directPriority: equalDirectPriority };
}

/** The slot at a place of the order that the other tiers have. Nobody else is there, so one priority will do. */
export function slotAt(place: number): RuleSlot {
  const priority = placeCount - place;
  return { priority, directPriority: priority };
}

export type Clause = "subject" | "peer" | "service";

/** Which clauses a rule has, in the order of their numbers from 1. */
export function clausesOf(rule: RuleResource): readonly Clause[] {
  return [
    "subject",
    ...(rule.peers === "any" ? [] : (["peer"] as const)),
    ...(rule.ports === "any" ? [] : (["service"] as const)),
  ];
}
