import type { Action, Flow } from "../openflow/flow.ts";
import type { RuleResource } from "../southbound/resources.ts";
import { encodeCookie } from "./cookie.ts";
import type { RenderContext } from "./feature.ts";
import { type FlowDraft, type KnownMatch, buildFlow, load, whereField } from "./flow-builder.ts";
import { stages } from "./policy-stage.ts";
import { blockedPriority, clausesOf, slotOf } from "./rule-slot.ts";
import type { TableName } from "./tables.ts";

type Clause = "subject" | "peer" | "service";

/** Kubernetes NetworkPolicy knows no rule but allow: anything else in that tier has no effect. */
function hasEffect(rule: RuleResource): boolean {
  return rule.tier !== "networkpolicy" || rule.action === "allow";
}

function tierStage(rule: RuleResource): { table: TableName; after: TableName } {
  return stages[rule.direction].tiers[rule.tier];
}

/** What happens when the rule matches. */
function verdictOf(
  rule: RuleResource,
  number: number,
): Pick<FlowDraft, "cookie" | "actions" | "next"> {
  const { direction, action } = rule;
  const cookie = encodeCookie({ feature: "rule", direction, verdict: action, number });
  switch (action) {
    case "allow": {
      const { decision, allowed } = stages[direction];
      return { cookie, actions: [load(decision, number)], next: allowed };
    }
    case "deny":
      return { cookie };
    case "pass":
      return { cookie, next: tierStage(rule).after };
  }
}

/** One flow for each table and priority at which one of the rules has the clause. */
export function renderClause(
  clause: Clause,
  match: readonly KnownMatch[],
  rules: readonly RuleResource[],
  context: RenderContext,
): readonly Flow[] {
  const flows = new Map<string, { table: TableName; priority: number; actions: Action[] }>();
  for (const rule of rules) {
    const clauses = clausesOf(rule);
    if (clauses.length < 2 || !clauses.includes(clause) || !hasEffect(rule)) continue;
    const id = context.number("rule", rule.id);
    const slot = slotOf(rule, id);
    if (typeof slot === "string") continue;
    const { table } = tierStage(rule);
    const { priority } = slot;
    const key = `${table} ${priority}`;
    const flow = flows.get(key) ?? { table, priority, actions: [] };
    flows.set(key, flow);
    flow.actions.push({
      kind: "conjunction",
      id,
      clause: clauses.indexOf(clause) + 1,
      clauses: clauses.length,
    });
  }
  return Array.from(flows.values(), (flow) =>
    buildFlow({
      ...flow,
      cookie: encodeCookie({ feature: "clause", number: 0 }),
      match,
      actions: flow.actions.toSorted(byId),
    }),
  );
}

/** The order must depend on the rules alone, not on when they came. */
function byId(a: Action, b: Action): number {
  return a.kind === "conjunction" && b.kind === "conjunction" ? a.id - b.id : 0;
}

/** Which of the rules that decide at the same place is named; the one that lets the least through. */
const strictness = { deny: 0, pass: 1, allow: 2 } as const;

function byStrictness(a: RuleResource, b: RuleResource): number {
  if (a.action !== b.action) return strictness[a.action] - strictness[b.action];
  return a.id < b.id ? -1 : 1;
}

/** Flows of a subject: its clause in conjunctions, and the verdicts of rules that ask for nothing but the subject. */
export function renderSubjects(
  match: readonly KnownMatch[],
  rules: readonly RuleResource[],
  context: RenderContext,
): readonly Flow[] {
  const direct = new Map<string, Flow>();
  for (const rule of rules.toSorted(byStrictness)) {
    if (!hasEffect(rule)) continue;
    const number = context.number("rule", rule.id);
    const slot = slotOf(rule, number);
    const { table } = tierStage(rule);
    const verdict = verdictOf(rule, number);
    let flow: Flow;
    if (typeof slot === "string") {
      const { direction } = rule;
      const cookie = encodeCookie({ feature: "rule", direction, verdict: "deny", number });
      flow = buildFlow({ table, priority: blockedPriority, cookie, match });
    } else if (clausesOf(rule).length === 1) {
      flow = buildFlow({ table, priority: slot.directPriority, match, ...verdict });
    } else {
      continue;
    }
    const key = `${flow.table} ${flow.priority}`;
    if (!direct.has(key)) direct.set(key, flow);
  }
  return [...renderClause("subject", match, rules, context), ...direct.values()];
}

/** What a rule's conjunction does once all of its clauses match. */
export function renderVerdict(rule: RuleResource, context: RenderContext): readonly Flow[] {
  const resource = { kind: "rule", id: rule.id } as const;
  if (!hasEffect(rule)) {
    context.report({ resource, message: `${rule.action} has no effect in tier networkpolicy` });
    return [];
  }
  const number = context.number("rule", rule.id);
  const slot = slotOf(rule, number);
  if (typeof slot === "string") {
    context.report({ resource, message: `${slot}; the traffic of its subjects is dropped` });
    return [];
  }
  if (clausesOf(rule).length < 2) return [];
  return [
    buildFlow({
      table: tierStage(rule).table,
      priority: slot.priority,
      match: [whereField("conj_id", number)],
      ...verdictOf(rule, number),
    }),
  ];
}
