import type { Policy } from "../model/policy.ts";
import { type CompiledPolicy, compilePolicy } from "./compile.ts";
import type { InputEntry } from "./inputs.ts";

export interface PolicyChange {
  readonly id: string;
  readonly before: CompiledPolicy | undefined;
  readonly after: CompiledPolicy | undefined;
}

/**
 * Compiles what changed. Nothing is kept: a policy that goes is compiled once more, which is cheaper than to hold every
 * policy twice.
 */
export function compileChanges(changes: readonly InputEntry<Policy>[]): readonly PolicyChange[] {
  return changes.map(({ id, before, after }) => ({
    id,
    before: before && compilePolicy(before),
    after: after && compilePolicy(after),
  }));
}
