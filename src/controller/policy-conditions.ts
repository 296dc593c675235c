// What came of a ClusterNetworkPolicy, as conditions in its status.
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { fieldAt, fieldOf, listOf, type Problem, stringOf } from "../kubernetes/json.ts";
import type { PolicyStatus } from "./policy-realisation.ts";

interface Condition {
  /**
   * Accepted: all of it is understood. PriorityUnique: no other policy of its tier and priority can be for the same pods.
   * Realised: it is in force on every node that has a subject of it.
   */
  readonly type: "Accepted" | "PriorityUnique" | "Realised";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

const mostMessageLength = 2_048;

function cut(text: string): string {
  return text.length > mostMessageLength ? `${text.slice(0, mostMessageLength - 3)}...` : text;
}

function renderConditions(
  { realised, nodes, refusals }: PolicyStatus,
  problems: readonly Problem[],
  conflicts: readonly string[],
): readonly Condition[] {
  const invalid = problems.map(({ field, message }) => `${field}: ${message}`);
  const refused = refusals.map(({ node, message }) => `node ${node}: ${message}`);
  const inForce = [`in force on ${realised} of ${nodes} nodes`, ...refused].join("; ");
  return [
    invalid.length === 0
      ? { type: "Accepted", status: "True", reason: "Accepted", message: "all of it is understood" }
      : { type: "Accepted", status: "False", reason: "Invalid", message: cut(invalid.join("; ")) },
    conflicts.length === 0
      ? { type: "PriorityUnique", status: "True", reason: "Unique", message: "no other has it" }
      : {
          type: "PriorityUnique",
          status: "False",
          reason: "Shared",
          message: cut(`shared with ${conflicts.join(", ")}: the first by name decides`),
        },
    realised === nodes
      ? { type: "Realised", status: "True", reason: "Realised", message: inForce }
      : {
          type: "Realised",
          status: "False",
          reason: refused.length === 0 ? "Pending" : "Refused",
          message: cut(inForce),
        },
  ];
}

function typeOf(condition: unknown): unknown {
  return fieldOf(condition, "type");
}

function isSaid(present: unknown, wanted: Condition, generation: number | undefined): boolean {
  return (
    (["status", "reason", "message"] as const).every(
      (field) => fieldOf(present, field) === wanted[field],
    ) && fieldOf(present, "observedGeneration") === generation
  );
}

export interface ConditionsSource {
  readonly of: PolicyStatus;
  readonly problems: readonly Problem[];
  /** Names of the policies that share its priority. */
  readonly conflicts: readonly string[];
  readonly now: Date;
}

/** What the writer needs to know of the object. */
interface ConditionedPolicy {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
  };
  readonly status?: unknown;
}

/**
 * Writes the conditions that differ; conditions of others stay. The resourceVersion makes a write fail that would undo somebody
 * else's: the object's next version then brings another one. Rejects with what the server says but for a policy that is gone
 * or has changed.
 */
export async function writeConditions(
  client: ApiClient,
  { metadata, status }: ConditionedPolicy,
  { of, problems, conflicts, now }: ConditionsSource,
): Promise<void> {
  const { name, uid, resourceVersion, generation } = metadata;
  const present = listOf(fieldAt(status, "conditions")) ?? [];
  const wanted = renderConditions(of, problems, conflicts);
  const told = wanted.map((condition) => {
    const before = present.find((each) => typeOf(each) === condition.type);
    if (isSaid(before, condition, generation)) return before;
    const since = stringOf(fieldOf(before, "lastTransitionTime"));
    const stays = fieldOf(before, "status") === condition.status && since !== undefined;
    const time = now.toISOString().replace(/\.\d+Z$/, "Z");
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    return { ...condition, lastTransitionTime: stays ? since : time, ...observed };
  });
  if (told.every((condition) => present.includes(condition))) return;
  const others = present.filter((each) => wanted.every(({ type }) => type !== typeOf(each)));
  const body = {
    metadata: { uid, resourceVersion },
    status: { conditions: [...others, ...told] },
  };
  const place = { name, subresource: "status" };
  try {
    await client.patch(clusterNetworkPolicyKind, place, { type: "merge-patch+json", body });
  } catch (error) {
    const isOther = error instanceof StatusError && [404, 409, 422].includes(error.status.code);
    if (!isOther) throw error;
  }
}
