// What the verbs of the API do with the objects of a kind.
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { decodeObject } from "../apimachinery/object.ts";
import { badRequest, methodNotSupported } from "../apimachinery/status.ts";
import type { KeyValue } from "../store/store.ts";
import {
  type ApiRequest,
  type ApiResponse,
  bodyOf,
  dryRunOf,
  fieldValidationOf,
  managerOf,
  numberOf,
} from "./api-request.ts";
import { deleteOptionsOf } from "./delete-options.ts";
import { assertReached, listObjects } from "./list-objects.ts";
import { viewObject } from "./object-codec.ts";
import type { ObjectService, Target } from "./object-service.ts";
import { patchObject } from "./patch-objects.ts";
import { renderList, renderObject } from "./render-objects.ts";
import type { RequestTarget } from "./request-target.ts";
import { document, respond, viewOf } from "./responses.ts";

/** Where in the API a request is about. */
export interface Place {
  readonly kind: KindDefinition;
  readonly target: RequestTarget;
}

/** @throws {StatusError} */
export async function handleCollection(
  service: ObjectService,
  { kind, target }: Place,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { namespace } = target;
  switch (request.method) {
    case "GET": {
      const view = viewOf(service, request);
      const { entries, metadata } = await listObjects(
        service.store,
        kind,
        namespace,
        request.query,
      );
      return document(view, renderList(kind, entries, view, metadata));
    }
    case "POST":
      return await createObject(service, kind, namespace, request);
    case "DELETE":
      return await deleteCollection(service, { kind, target }, request);
    default:
      throw new StatusError(methodNotSupported(kind, request.method.toLowerCase()));
  }
}

/** @throws {StatusError} */
export async function handleObject(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind } = target;
  switch (request.method) {
    case "GET":
      return await getObject(service, target, request);
    case "PUT":
      return await putObject(service, target, request, undefined);
    case "PATCH":
      return respond(
        service,
        kind,
        request,
        await patchObject(service, target, request, undefined),
      );
    case "DELETE":
      return respond(
        service,
        kind,
        request,
        await service.delete(target, deleteOptionsOf(request)),
      );
    default:
      throw new StatusError(methodNotSupported(kind, request.method.toLowerCase()));
  }
}

export async function getObject(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
): Promise<ApiResponse> {
  const view = viewOf(service, request);
  await assertReached(service.store, numberOf(request.query, "resourceVersion") ?? 0);
  return document(view, renderObject(target.kind, await service.read(target), view));
}

async function createObject(
  service: ObjectService,
  kind: KindDefinition,
  namespace: string | undefined,
  request: ApiRequest,
): Promise<ApiResponse> {
  if (kind.namespaced && namespace === undefined) {
    throw new StatusError(badRequest("an empty namespace may not be set during creation"));
  }
  const validation = fieldValidationOf(request.query);
  const { object, warnings } = decodeObject(kind, bodyOf(request), validation);
  const options = { dryRun: dryRunOf(request.query), manager: managerOf(request) };
  const written = await service.create(kind, namespace, object, options);
  return respond(service, kind, request, { ...written, warnings });
}

/** Replaces the object, or the part of it that the subresource is. */
export async function putObject(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
  subresource: "status" | undefined,
): Promise<ApiResponse> {
  const { kind } = target;
  const validation = fieldValidationOf(request.query);
  const { object, warnings } = decodeObject(kind, bodyOf(request), validation);
  const written = await service.update(target, () => structuredClone(object), {
    dryRun: dryRunOf(request.query),
    manager: managerOf(request),
    ...(subresource !== undefined && { subresource }),
  });
  return respond(service, kind, request, { ...written, warnings });
}

async function deleteCollection(
  service: ObjectService,
  { kind, target }: Place,
  request: ApiRequest,
): Promise<ApiResponse> {
  const options = deleteOptionsOf(request);
  const view = viewOf(service, request);
  const { entries, metadata } = await listObjects(
    service.store,
    kind,
    target.namespace,
    request.query,
  );
  const deleted: KeyValue[] = [];
  for (const entry of entries) {
    const { name, namespace, uid } = viewObject(entry).metadata;
    try {
      const written = await service.delete(
        { kind, namespace, name },
        { ...options, preconditions: { uid } },
      );
      deleted.push(written.entry);
    } catch (error) {
      // Somebody else has deleted it, or made another one of that name.
      const gone = error instanceof StatusError && [404, 409].includes(error.status.code);
      if (!gone) throw error;
    }
  }
  return document(view, renderList(kind, deleted, view, metadata));
}
