// Strategic merge patch: a merge patch that merges lists by key, as the schema says.
import { PatchError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { Schema } from "./schema.ts";

/** @throws {PatchError} when the patch does not fit. Changes no argument. */
export function applyStrategicMergePatch(
  _target: JsonObject,
  _patch: unknown,
  _schema: Schema,
): JsonObject {
  throw new PatchError("strategic merge patches are not supported yet");
}
