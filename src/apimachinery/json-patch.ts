// JSON Patch (RFC 6902).
import jsonPatch, { type Operation } from "fast-json-patch";
import { PatchError } from "./errors.ts";
import { isDeeperThan, isObject, maximumDepth } from "./json.ts";

/** So many operations may stand in one patch; a limit against abuse, as upstream's. */
const maximumOperations = 10_000;

/** Characters of JSON that a patch may copy in all: copies of copies double each time. */
const maximumCopied = 3 * 1024 * 1024;

/** @throws {PatchError} when the patch is malformed, a path does not exist or a `test` fails. Changes no argument. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw new PatchError("expected a JSON patch, a list of operations");
  if (patch.length > maximumOperations) {
    const limit = `The allowed maximum operations in a JSON patch is ${maximumOperations}`;
    throw new PatchError(`${limit}, got ${patch.length}`);
  }
  if (isDeeperThan(patch, maximumDepth)) {
    throw new PatchError(`the patch is nested more than ${maximumDepth} deep`);
  }
  try {
    return applyAll(structuredClone(document), structuredClone(patch));
  } catch (error) {
    if (error instanceof PatchError) throw error;
    throw new PatchError(`the JSON patch cannot be applied: ${describe(error)}`, { cause: error });
  }
}

/** Changes its argument. */
function applyAll(document: unknown, patch: readonly Operation[]): unknown {
  let current = document;
  let copied = 0;
  for (const [index, operation] of patch.entries()) {
    copied += copiedLength(current, operation);
    if (copied > maximumCopied) {
      throw new PatchError(`the patch copies more than ${maximumCopied} characters`);
    }
    const [validate, mutate, guardPrototypes] = [true, true, true];
    current = jsonPatch.applyOperation(
      current,
      operation,
      validate,
      mutate,
      guardPrototypes,
      index,
    ).newDocument;
  }
  return current;
}

/** 0 for what is no copy, also for what is malformed: that is found when it is applied. */
function copiedLength(document: unknown, operation: unknown): number {
  if (!isObject(operation) || operation["op"] !== "copy") return 0;
  const { from } = operation;
  if (typeof from !== "string") return 0;
  return JSON.stringify(jsonPatch.getValueByPointer(document, from))?.length ?? 0;
}

function describe(error: unknown): string {
  if (!(error instanceof jsonPatch.JsonPatchError)) return String(error);
  const operation: unknown = error.operation;
  const what = isObject(operation)
    ? ` (${String(operation["op"])} ${String(operation["path"])})`
    : "";
  const where = error.index === undefined ? "" : `operation ${error.index}${what}: `;
  return where + error.name.toLowerCase().replaceAll("_", " ");
}
