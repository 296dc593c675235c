// What came of a ClusterNetworkPolicy, as conditions in its status.
import type { Problem } from "../kubernetes/json.ts";
import type { Condition } from "./conditions.ts";
import type { PolicyStatus } from "./policy-realisation.ts";

const mostMessageLength = 2_048;

function cut(text: string): string {
  return text.length > mostMessageLength ? `${text.slice(0, mostMessageLength - 3)}...` : text;
}

/**
 * Accepted: all of it is understood. PriorityUnique: no other policy of its tier and priority can be for the same pods, of which
 * `conflicts` has the names. Realised: it is in force on every node that has a subject of it.
 */
export function renderConditions(
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
