import { parseAllDocuments } from "yaml";
import { isObject, type JsonObject } from "../apimachinery/json.ts";
import { ManifestError } from "./errors.ts";

/** One object of a manifest file; what it must have is there, nothing else has been looked at. */
export interface Manifest extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject;
}

/**
 * The objects of a YAML or JSON text: all its documents, lists taken apart, empty documents left out. `source` is for
 * messages. @throws {ManifestError}
 */
export function parseManifests(text: string, source: string): Manifest[] {
  const documents = parseAllDocuments(text);
  const list = Array.isArray(documents) ? documents : [];
  return list.flatMap((document, index) => {
    const where = `${source}, document ${index + 1}`;
    const [error] = document.errors;
    if (error !== undefined) throw new ManifestError(`${where}: ${error.message}`);
    const value: unknown = document.toJS();
    return value === null || value === undefined ? [] : expand(value, where);
  });
}

function expand(value: unknown, where: string): Manifest[] {
  if (!isObject(value)) throw new ManifestError(`${where}: expected an object`);
  const { items } = value;
  if (typeof value["kind"] === "string" && value["kind"].endsWith("List") && Array.isArray(items)) {
    return items.flatMap((item, index) => expand(item, `${where}, item ${index + 1}`));
  }
  if (isManifest(value)) return [value];
  throw new ManifestError(`${where}: apiVersion, kind and metadata.name must be set`);
}

function isManifest(value: JsonObject): value is Manifest {
  const { apiVersion, kind, metadata } = value;
  return (
    typeof apiVersion === "string" &&
    typeof kind === "string" &&
    isObject(metadata) &&
    typeof metadata["name"] === "string"
  );
}
