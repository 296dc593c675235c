import type { Action, Flow } from "../openflow/flow.ts";
import type { RuleResource } from "../southbound/resources.ts";
import { encodeCookie, reservedDecisions } from "./cookie.ts";
import { type FlowDraft, type KnownMatch, buildFlow, load, whereField } from "./flow-builder.ts";
import { type TierStage, stages } from "./policy-stage.ts";
import { type Clause, type RuleSlot, blockedPriority, clausesOf } from "./rule-slot.ts";

/** A rule as it is enforced on this node. */
export interface PlacedRule {
  readonly rule: RuleResource;
  readonly number: number;
  /** `undefined` when it has no place in its tier's order. */
  readonly slot: RuleSlot | undefined;
  /** Why the rule cannot be enforced as it is, in words; its subjects' traffic is then dropped. */
  readonly blocked: string | undefined;
}

function tierStage({ direction, tier }: RuleResource): TierStage {
  return stages[direction].tiers[tier];
}

/** What happens when the rule matches. */
function verdictOf({ rule, number }: PlacedRule): Pick<FlowDraft, "cookie" | "actions" | "next"> {
  const { direction, action } = rule;
  const cookie = encodeCookie({ feature: "rule", direction, verdict: action, number });
  switch (action) {
    case "allow": {
      const { decision, allowed } = stages[direction];
      return { cookie, actions: [load(decision, number)], next: allowed };
    }
    case "deny":
      return { cookie };
    case "pass": {
      const { after, last } = tierStage(rule);
      const { decision } = stages[direction];
      const open = last === true ? { actions: [load(decision, reservedDecisions.open)] } : {};
      return { cookie, ...open, next: after };
    }
  }
}

/** One flow for each table and priority at which one of the rules has the clause. */
export function renderClause(
  clause: Clause,
  match: readonly KnownMatch[],
  rules: readonly PlacedRule[],
): readonly Flow[] {
  const flows = new Map<string, Pick<FlowDraft, "table" | "priority"> & { actions: Action[] }>();
  // The order must depend on the rules alone, not on when they came.
  for (const { rule, number, slot } of rules.toSorted((a, b) => a.number - b.number)) {
    const clauses = clausesOf(rule);
    if (slot === undefined || clauses.length < 2 || !clauses.includes(clause)) continue;
    const { table } = tierStage(rule);
    const { priority } = slot;
    const key = `${table} ${priority}`;
    const flow = flows.get(key) ?? { table, priority, actions: [] };
    flows.set(key, flow);
    flow.actions.push({
      kind: "conjunction",
      id: number,
      clause: clauses.indexOf(clause) + 1,
      clauses: clauses.length,
    });
  }
  const cookie = encodeCookie({ feature: "clause", number: 0 });
  return Array.from(flows.values(), (flow) => buildFlow({ ...flow, cookie, match }));
}

/** Which of the rules that decide at the same place is named: one that lets the least through. */
const strictness = { deny: 0, pass: 1, allow: 2 } as const;

function compareStrictness(a: PlacedRule, b: PlacedRule): number {
  return strictness[a.rule.action] - strictness[b.rule.action] || a.number - b.number;
}

/** A rule that decides by its subject alone, or drops all of its subject's traffic. */
function renderDirect(placed: PlacedRule, match: readonly KnownMatch[]): Flow[] {
  const { rule, number, slot, blocked } = placed;
  const { table } = tierStage(rule);
  const flows: Flow[] = [];
  if (blocked !== undefined) {
    const { direction } = rule;
    const cookie = encodeCookie({ feature: "rule", direction, verdict: "deny", number });
    flows.push(buildFlow({ table, priority: blockedPriority, cookie, match }));
  }
  if (slot !== undefined && clausesOf(rule).length === 1) {
    const priority = slot.directPriority;
    flows.push(buildFlow({ table, priority, match, ...verdictOf(placed) }));
  }
  return flows;
}

/** Flows of a subject: its clause in conjunctions, and the verdicts that ask for nothing but the subject. */
export function renderSubjects(
  match: readonly KnownMatch[],
  rules: readonly PlacedRule[],
): readonly Flow[] {
  const direct = new Map<string, Flow>();
  for (const placed of rules.toSorted(compareStrictness)) {
    for (const flow of renderDirect(placed, match)) {
      const key = `${flow.table} ${flow.priority}`;
      if (!direct.has(key)) direct.set(key, flow);
    }
  }
  return [...renderClause("subject", match, rules), ...direct.values()];
}

/** What a rule's conjunction does once all of its clauses match. */
export function renderVerdict(placed: PlacedRule): readonly Flow[] {
  const { rule, number, slot } = placed;
  if (slot === undefined || clausesOf(rule).length < 2) return [];
  return [
    buildFlow({
      table: tierStage(rule).table,
      priority: slot.priority,
      match: [whereField("conj_id", number)],
      ...verdictOf(placed),
    }),
  ];
}
