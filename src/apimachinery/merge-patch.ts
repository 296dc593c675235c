// JSON Merge Patch (RFC 7386).
import { PatchError } from "./errors.ts";
import {
  equalJson,
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

/** A patch that turns `from` into `to`. A member that is `null` in `to` cannot be expressed and comes out absent. */
export function createMergePatch(from: unknown, to: unknown): unknown {
  if (!isObject(from) || !isObject(to)) return structuredClone(to);
  const patch: JsonObject = {};
  for (const name of Object.keys(from)) if (!Object.hasOwn(to, name)) setMember(patch, name, null);
  for (const [name, value] of Object.entries(to)) {
    const old = getMember(from, name);
    if (equalJson(old, value)) continue;
    setMember(patch, name, isObject(old) ? createMergePatch(old, value) : structuredClone(value));
  }
  return patch;
}
