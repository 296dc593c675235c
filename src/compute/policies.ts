import type { Policy } from "../model/policy.ts";
import { type CompiledPolicy, compilePolicy } from "./compile.ts";
import type { InputEntry } from "./inputs.ts";

/** A policy that was replaced both came and went. */
export interface PolicyChanges {
  readonly ids: readonly string[];
  readonly came: readonly CompiledPolicy[];
  readonly went: readonly CompiledPolicy[];
}

/**
 * Compiles what changed. Nothing is kept: a policy that goes is compiled once more, which is cheaper than to hold every
 * policy twice.
 */
export function compileChanges(changes: readonly InputEntry<Policy>[]): PolicyChanges {
  const came: CompiledPolicy[] = [];
  const went: CompiledPolicy[] = [];
  for (const { before, after } of changes) {
    if (before !== undefined) went.push(compilePolicy(before));
    if (after !== undefined) came.push(compilePolicy(after));
  }
  return { ids: changes.map(({ id }) => id), came, went };
}
