// Why a packet is allowed or denied, and what would have let it through.
import type { Direction, Tier } from "../model/policy.ts";
import { tiers } from "../model/policy.ts";
import { type Connection, resolveConnection } from "./connection.ts";
import { decide, endsOf, evaluate, questionOf } from "./evaluate.ts";
import { byDistance, missingFor, type NearMiss } from "./near-miss.ts";
import type { Packet } from "./packet.ts";
import type { PolicyModel } from "./policy-model.ts";
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
  /** For a default deny: some rules that could have allowed the packet, the nearest first. */
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

/** Rules that could have allowed the packet before isolation denied it. */
function findNearMisses(
  model: PolicyModel,
  connection: Connection,
  direction: Direction,
): readonly NearMiss[] {
  const { subject, peer } = endsOf(connection, direction);
  if (subject.endpoint === undefined) return [];
  const policies = model.policiesOf(subject.endpoint);
  const asked = {
    side: peer,
    end: direction === "egress" ? ("destination" as const) : ("source" as const),
  };
  return tiers
    .filter((tier) => tier !== "baseline")
    .flatMap((tier) => policies[tier])
    .flatMap(({ policy }) =>
      policy[direction]
        .filter((rule) => rule.action === "allow")
        .map((rule) => ({
          policy: policy.id,
          rule: rule.index,
          missing: missingFor(rule, asked, questionOf(connection)),
        })),
    )
    .filter(({ missing }) => missing.length > 0)
    .toSorted(byDistance)
    .slice(0, nearMissLimit);
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
  const nearMisses =
    decision.kind === "isolated" ? findNearMisses(model, connection, direction) : [];
  const subject = endpoint?.endpoint.id;
  const question = questionOf(connection);
  return {
    direction,
    subject,
    decision,
    policies,
    nearMisses,
    text: [
      describeDecision(decision, { direction, subject, policies: policies.length }),
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
    text: [describeDecision(decision, { direction, subject: undefined, policies: 0 })],
  });
  return { verdict, egress: unknown("egress", egress), ingress: unknown("ingress", ingress) };
}
