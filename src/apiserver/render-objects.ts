// Objects in the shape that the client asked for. Whole objects are passed on as the text they are stored as.
import { stringify as stringifyYaml } from "yaml";
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { apiVersionOf } from "../apimachinery/object.ts";
import { badRequest } from "../apimachinery/status.ts";
import { type IncludeObject, renderTable } from "../apimachinery/table.ts";
import type { KeyValue } from "../store/store.ts";
import type { Encoding, Shape } from "./media-type.ts";
import { jsonOf, viewObject } from "./object-codec.ts";

/** Everything that decides how objects look. */
export interface View extends Shape {
  readonly includeObject: IncludeObject;
  readonly now: Date;
}

export interface ListMetadata {
  readonly resourceVersion: string;
  readonly continue?: string;
}

/** @throws {StatusError} 400 */
export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get("includeObject") ?? "";
  if (value === "") return "Metadata";
  if (value === "None" || value === "Metadata" || value === "Object") return value;
  const message = `unrecognized includeObject value: ${JSON.stringify(value)}`;
  throw new StatusError(badRequest(message));
}

export function contentTypeFor(encoding: Encoding): string {
  return encoding === "json" ? "application/json" : "application/yaml";
}

export function encodeDocument(encoding: Encoding, json: string): string {
  return encoding === "json"
    ? json
    : stringifyYaml(JSON.parse(json), { aliasDuplicateObjects: false });
}

/** The JSON of one object. `revision` is given when it is not the entry's own. */
export function renderObject(
  kind: KindDefinition,
  entry: KeyValue,
  view: View,
  revision: number = entry.modRevision,
): string {
  switch (view.as) {
    case "object":
      return jsonOf(kind, entry, revision);
    case "metadata":
      return JSON.stringify(metadataOf(atRevision(entry, revision), view));
    case "table":
      return JSON.stringify(
        tableOf(kind, [atRevision(entry, revision)], view, { resourceVersion: String(revision) }),
      );
  }
}

/** The JSON of a list of objects. */
export function renderList(
  kind: KindDefinition,
  entries: readonly KeyValue[],
  view: View,
  metadata: ListMetadata,
): string {
  switch (view.as) {
    case "object": {
      const head = JSON.stringify({
        kind: `${kind.kind}List`,
        apiVersion: apiVersionOf(kind),
        metadata,
      });
      return `${head.slice(0, -1)},"items":[${entries.map((entry) => jsonOf(kind, entry)).join(",")}]}`;
    }
    case "metadata":
      return JSON.stringify({
        kind: "PartialObjectMetadataList",
        apiVersion: `meta.k8s.io/${view.version}`,
        metadata,
        items: entries.map((entry) => metadataOf(viewObject(entry), view)),
      });
    case "table":
      return JSON.stringify(tableOf(kind, entries.map(viewObject), view, metadata));
  }
}

function atRevision(entry: KeyValue, revision: number): Readonly<KubeObject> {
  const object = viewObject(entry);
  if (revision === entry.modRevision) return object;
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

function metadataOf({ metadata }: Readonly<KubeObject>, { version }: View): unknown {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata };
}

function tableOf(
  kind: KindDefinition,
  objects: readonly Readonly<KubeObject>[],
  { version, includeObject, now }: View,
  metadata: ListMetadata,
): unknown {
  const table = renderTable(kind, objects, { now, includeObject, metadata });
  return version === "v1" ? table : { ...table, apiVersion: "meta.k8s.io/v1beta1" };
}
