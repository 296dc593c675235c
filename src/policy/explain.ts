// Why a packet is allowed or denied, and what would have let it through.
import type { Direction, Policy, Rule, Tier } from "../model/policy.ts";
import { tiers } from "../model/policy.ts";
import { type Connection, resolveConnection } from "./connection.ts";
import { decide, endsOf, evaluate, peerOf, questionOf } from "./evaluate.ts";
import { byDistance, missingFor, type NearMiss } from "./near-miss.ts";
import type { Packet } from "./packet.ts";
import type { PolicyModel, SubjectPolicies } from "./policy-model.ts";
import type { Answer, Decision } from "./verdict.ts";
import { describeDecision, describeNearMiss } from "./wording.ts";

/** A policy that selects the subject. */
interface SelectingPolicy {
  /** Its id. */
  readonly policy: string;
  readonly tier: Tier;
  /** Whether it denies by default in this direction. */
  readonly isolates: boolean;
}

interface DirectionExplanation {
  readonly direction: Direction;
  /** Id of the endpoint where the direction is enforced; `undefined` when that end is none. */
  readonly subject: string | undefined;
  readonly decision: Decision;
  /** In the order in which they are tried. */
  readonly policies: readonly SelectingPolicy[];
  /** For a denial: some rules that could have allowed the packet, the nearest first. */
  readonly nearMisses: readonly NearMiss[];
  /** One sentence each: what decided, then the near misses. */
  readonly text: readonly string[];
}

export interface Explanation {
  readonly verdict: Answer;
  readonly egress: DirectionExplanation;
  readonly ingress: DirectionExplanation;
}

/** How many near misses are worth reading. */
const nearMissLimit = 5;

/** The rules of the direction that were tried before the decision, with their policies, in that order. */
function* rulesBefore(
  policies: SubjectPolicies,
  decision: Decision,
  direction: Direction,
): Generator<{ readonly policy: Policy; readonly rule: Rule }> {
  for (const { policy } of tiers.flatMap((tier) => policies[tier])) {
    if (decision.kind === "isolated" && policy.tier === "baseline") return;
    for (const rule of policy[direction]) {
      const decided = decision.kind === "rule" && decision.policy === policy.id;
      if (decided && decision.rule === rule.index) return;
      yield { policy, rule };
    }
  }
}

/** Rules that could have allowed the packet before it was denied. */
function findNearMisses(
  model: PolicyModel,
  connection: Connection,
  direction: Direction,
  decision: Decision,
): readonly NearMiss[] {
  const { endpoint } = endsOf(connection, direction).subject;
  if (endpoint === undefined || decision.verdict === "allow") return [];
  const asked = {
    side: peerOf(connection, direction),
    end: direction === "egress" ? ("destination" as const) : ("source" as const),
    nodes: model.nodes,
  };
  const question = questionOf(connection);
  return Array.from(rulesBefore(model.policiesOf(endpoint), decision, direction))
    .filter(({ rule }) => rule.action === "allow")
    .map(({ policy, rule }) => ({
      policy: policy.id,
      rule: rule.index,
      ...(rule.name === undefined ? {} : { ruleName: rule.name }),
      missing: missingFor(rule, asked, question),
    }))
    .filter(({ missing }) => missing.length > 0)
    .toSorted(byDistance)
    .slice(0, nearMissLimit);
}

function ruleNameOf(
  policies: SubjectPolicies | undefined,
  decision: Decision,
  direction: Direction,
): string | undefined {
  if (decision.kind !== "rule") return undefined;
  const decided = policies?.[decision.tier].find(({ policy }) => policy.id === decision.policy);
  return decided?.policy[direction].find(({ index }) => index === decision.rule)?.name;
}

function explainDirection(
  model: PolicyModel,
  connection: Connection,
  direction: Direction,
): DirectionExplanation {
  const decision = decide(model, connection, direction);
  const { endpoint } = endsOf(connection, direction).subject;
  const selecting = endpoint === undefined ? undefined : model.policiesOf(endpoint);
  const policies = tiers
    .flatMap((tier) => selecting?.[tier] ?? [])
    .map(({ policy }) => ({
      policy: policy.id,
      tier: policy.tier,
      isolates: policy.isolates.includes(direction),
    }));
  const nearMisses = findNearMisses(model, connection, direction, decision);
  const subject = endpoint?.endpoint.id;
  const question = questionOf(connection);
  return {
    direction,
    subject,
    decision,
    policies,
    nearMisses,
    text: [
      describeDecision(decision, {
        direction,
        subject,
        policies: policies.length,
        ruleName: ruleNameOf(selecting, decision, direction),
      }),
      ...nearMisses.map((each) => describeNearMiss(each, question.destination)),
    ],
  };
}

/** The verdict of `evaluate` with its reasons. Never throws. */
export function explain(model: PolicyModel, packet: Packet): Explanation {
  const { verdict, egress, ingress } = evaluate(model, packet);
  const connection = resolveConnection(model, packet);
  if (connection.kind === "connection") {
    return {
      verdict,
      egress: explainDirection(model, connection, "egress"),
      ingress: explainDirection(model, connection, "ingress"),
    };
  }
  const nothing = { subject: undefined, policies: [], nearMisses: [] };
  const unknown = (direction: Direction, decision: Decision): DirectionExplanation => ({
    ...nothing,
    direction,
    decision,
    text: [
      describeDecision(decision, {
        direction,
        subject: undefined,
        policies: 0,
        ruleName: undefined,
      }),
    ],
  });
  return { verdict, egress: unknown("egress", egress), ingress: unknown("ingress", ingress) };
}
