import type { KindDefinition } from "../apimachinery/kind.ts";
import { success } from "../apimachinery/status.ts";
import { type ApiRequest, type ApiResponse, shapeOf } from "./api-request.ts";
import { viewObject } from "./object-codec.ts";
import type { ObjectService, Written } from "./object-service.ts";
import {
  contentTypeFor,
  encodeDocument,
  includeObjectOf,
  renderObject,
  type View,
} from "./render-objects.ts";

/** @throws {StatusError} 400 or 406 */
export function viewOf(service: ObjectService, request: ApiRequest): View {
  const shape = shapeOf(request);
  return { ...shape, includeObject: includeObjectOf(request.query), now: service.now() };
}

/** The answer to a write: the object, or the success of its deletion. */
export function respond(
  service: ObjectService,
  kind: KindDefinition,
  request: ApiRequest,
  { outcome, entry, warnings = [] }: Written & { readonly warnings?: readonly string[] },
): ApiResponse {
  const view = viewOf(service, request);
  const code = outcome === "created" ? 201 : 200;
  if (outcome === "deleted" && request.method === "DELETE") {
    const { name, uid } = viewObject(entry).metadata;
    return document(view, JSON.stringify(success(kind, name, uid)));
  }
  return { ...document(view, renderObject(kind, entry, view)), code, warnings };
}

/** The answer that is a document in JSON, encoded as the client wants it. */
export function document(view: Pick<View, "encoding">, text: string): ApiResponse {
  return {
    code: 200,
    contentType: contentTypeFor(view.encoding),
    body: encodeDocument(view.encoding, text),
  };
}

export function json(code: number, body: unknown): ApiResponse {
  return { code, contentType: "application/json", body: JSON.stringify(body) };
}
