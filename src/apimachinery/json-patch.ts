// JSON Patch (RFC 6902).
import jsonPatch from "fast-json-patch";
import { PatchError } from "./errors.ts";
import { isDeeperThan, isObject, maximumDepth } from "./json.ts";

/** So many operations may stand in one patch; a limit against abuse, as upstream's. */
const maximumOperations = 10_000;

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
    const validate = true;
    return jsonPatch.applyPatch(structuredClone(document), structuredClone(patch), validate)
      .newDocument;
  } catch (error) {
    throw new PatchError(`the JSON patch cannot be applied: ${describe(error)}`, { cause: error });
  }
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
