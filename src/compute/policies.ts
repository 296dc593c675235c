import { type CompiledPolicy, compilePolicy } from "./compile.ts";
import type { Inputs } from "./inputs.ts";

/** A policy that was replaced both came and went. */
export interface PolicyChanges {
  readonly ids: readonly string[];
  readonly came: readonly CompiledPolicy[];
  readonly went: readonly CompiledPolicy[];
}

/** Compiles each policy once. */
export class Policies {
  readonly #inputs: Inputs;
  readonly #compiled = new Map<string, CompiledPolicy>();

  constructor(inputs: Inputs) {
    this.#inputs = inputs;
  }

  get size(): number {
    return this.#compiled.size;
  }

  get(id: string): CompiledPolicy | undefined {
    return this.#compiled.get(id);
  }

  update(ids: Iterable<string>): PolicyChanges {
    const changes = { ids: [...ids], came: [] as CompiledPolicy[], went: [] as CompiledPolicy[] };
    for (const id of changes.ids) {
      const before = this.#compiled.get(id);
      if (before !== undefined) changes.went.push(before);
      const policy = this.#inputs.policies.get(id);
      if (policy === undefined) {
        this.#compiled.delete(id);
        continue;
      }
      const compiled = compilePolicy(policy);
      this.#compiled.set(id, compiled);
      changes.came.push(compiled);
    }
    return changes;
  }
}
