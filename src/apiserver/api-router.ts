// From a path to the handler that answers it.
import { StatusError } from "../apimachinery/errors.ts";
import { methodNotSupported, noSuchPath } from "../apimachinery/status.ts";
import { type ApiRequest, type ApiResponse, bodyOf, flagOf } from "./api-request.ts";
import { type Api, handleDiscovery } from "./discovery-handlers.ts";
import { handleCollection, handleObject, type Place } from "./object-handlers.ts";
import { parseRequestTarget } from "./request-target.ts";
import { json, viewOf } from "./responses.ts";
import { answerReview, findReview } from "./reviews.ts";
import { handleSubresource } from "./subresource-handlers.ts";
import { ObjectWatch } from "./watch-objects.ts";

/** Answers a request, or gives the watch that it asks for. @throws {StatusError} */
export async function handleApi(
  api: Api,
  path: string,
  request: ApiRequest,
): Promise<ApiResponse | ObjectWatch> {
  const { service } = api;
  const target = parseRequestTarget(path);
  if (target === undefined) return handleDiscovery(api, path, request);
  const review = findReview(target.group, target.version, target.plural);
  if (review !== undefined && request.method === "POST") {
    return json(
      201,
      answerReview(review, bodyOf(request), {
        user: request.user,
        authenticator: api.authenticator,
      }),
    );
  }
  const kind = service.catalog.find(target.group, target.version, target.plural);
  if (kind === undefined) throw new StatusError(noSuchPath());
  const place = { kind, target };
  return asksForWatch(request)
    ? watch(api, place, request)
    : await handlePlace(api, place, request);
}

async function handlePlace(
  { service }: Api,
  { kind, target }: Place,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { namespace, name, subresource } = target;
  if (!kind.namespaced && namespace !== undefined) throw new StatusError(noSuchPath());
  if (name === undefined) return await handleCollection(service, { kind, target }, request);
  if (kind.namespaced && namespace === undefined) throw new StatusError(noSuchPath());
  const object = { kind, namespace, name };
  if (subresource === undefined) return await handleObject(service, object, request);
  return await handleSubresource(service, object, subresource, request);
}

function asksForWatch({ method, query }: ApiRequest): boolean {
  return method === "GET" && flagOf(query, "watch");
}

function watch({ service }: Api, { kind, target }: Place, request: ApiRequest): ObjectWatch {
  if (target.subresource !== undefined) throw new StatusError(methodNotSupported(kind, "watch"));
  viewOf(service, request);
  return new ObjectWatch({
    store: service.store,
    kind,
    namespace: target.namespace,
    name: target.name,
    query: request.query,
    view: () => viewOf(service, request),
  });
}
