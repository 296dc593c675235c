// Which priorities a rule's flows have. A rule is a conjunction of up to three clauses: its subjects, its peers and its
// services, of which "any" is none. Flows of several rules with the same match are one flow that lists the conjunctions;
// that list must fit into one OpenFlow message, and a flow with it may do nothing else.
import type { RuleResource } from "../southbound/resources.ts";
import { numberRanges } from "./numbers.ts";

export interface RuleSlot {
  /** Of the clauses and the verdict. */
  readonly priority: number;
  /** Of the flows that decide by the subject alone. */
  readonly directPriority: number;
}

/** Flows of rules that cannot be enforced, and drop their subjects' traffic. */
export const blockedPriority = 65_000;

/** Conjunctions in one flow: each takes 16 bytes of a message of at most 64 KiB. */
const bandLength = 3_500;

/** In `networkpolicy` the rules are equal, so priorities only keep flows short: each band has its own. */
const firstBandPriority = 40_000;
const equalDirectPriority = 50_000;

/** In the other tiers each place in the order has two priorities, from 2 to 64,065. */
const lastPolicyPriority = 1_000;
const rulesPerPolicy = 32;
const places = (lastPolicyPriority + 1) * rulesPerPolicy;

function fits(value: number, last: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= last;
}

/** @returns why the rule cannot be put in order, in words; `undefined` when it can. */
function whyMisplaced({ priority, ruleIndex }: RuleResource): string | undefined {
  if (!fits(priority, lastPolicyPriority)) {
    return `priority ${priority} is not between 0 and ${lastPolicyPriority}`;
  }
  if (!fits(ruleIndex, rulesPerPolicy - 1)) return `a policy can have ${rulesPerPolicy} rules`;
  return undefined;
}

/** @returns the slot of a rule with that number, or in words why it has none. */
export function slotOf(rule: RuleResource, number: number): RuleSlot | string {
  if (rule.tier === "networkpolicy") {
    const band = Math.floor((number - numberRanges.rule.first) / bandLength);
    if (band >= firstBandPriority) return "there are too many rules";
    return { priority: firstBandPriority - band, directPriority: equalDirectPriority };
  }
  const problem = whyMisplaced(rule);
  if (problem !== undefined) return problem;
  const place = rule.priority * rulesPerPolicy + rule.ruleIndex;
  const priority = 2 * (places - place);
  return { priority, directPriority: priority + 1 };
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
