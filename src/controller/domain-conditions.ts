import type { Condition } from "./conditions.ts";

/** VniUnique: no other domain has its VNI, of which `others` has the names. */
export function renderDomainConditions(others: readonly string[]): readonly [Condition] {
  if (others.length === 0) {
    return [
      { type: "VniUnique", status: "True", reason: "Unique", message: "no other domain has it" },
    ];
  }
  const message = `shared with ${others.join(", ")}: none of them has traffic between nodes`;
  return [{ type: "VniUnique", status: "False", reason: "Shared", message }];
}
