// JSON Merge Patch (RFC 7386).
import { PatchError } from "./errors.ts";
import {
  getMember,
  isDeeperThan,
  isObject,
  maximumDepth,
  setMember,
  type JsonObject,
} from "./json.ts";

/**
 * The document with the patch applied (section 2); neither argument is changed.
 * @throws {PatchError} when the patch is nested too deep
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (isDeeperThan(patch, maximumDepth)) {
    throw new PatchError(`the patch is nested more than ${maximumDepth} deep`);
  }
  return merge(target, patch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return structuredClone(patch);
  const result: JsonObject = isObject(target) ? structuredClone(target) : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else setMember(result, name, merge(getMember(result, name), value));
  }
  return result;
}
