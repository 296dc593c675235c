// Conditions in the status of objects, as the conventions of the Kubernetes API have them.
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import type { ApiClient } from "../client/api-client.ts";
import { fieldAt, fieldOf, listOf, stringOf } from "../kubernetes/json.ts";

export interface Condition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
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

/** What the writer needs to know of the object. */
export interface ConditionedObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
  };
  readonly status?: unknown;
}

/**
 * Writes the conditions of an object without a namespace that differ; conditions of others stay. The resourceVersion makes a
 * write fail that would undo somebody else's: the object's next version then brings another one. Rejects with what the server
 * says but for an object that is gone or has changed.
 */
export async function writeConditions(
  client: ApiClient,
  kind: KindDefinition,
  { metadata, status }: ConditionedObject,
  { wanted, now }: { readonly wanted: readonly Condition[]; readonly now: Date },
): Promise<void> {
  const { name, uid, resourceVersion, generation } = metadata;
  const present = listOf(fieldAt(status, "conditions")) ?? [];
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
    await client.patch(kind, place, { type: "merge-patch+json", body });
  } catch (error) {
    const isOther = error instanceof StatusError && [404, 409, 422].includes(error.status.code);
    if (!isOther) throw error;
  }
}
