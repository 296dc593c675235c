import { StatusError } from "../apimachinery/errors.ts";
import { noSuchPath } from "../apimachinery/status.ts";
import type { ApiRequest, ApiResponse } from "./api-request.ts";
import type { Authenticator } from "./authentication.ts";
import {
  renderAggregated,
  renderGroup,
  renderGroupList,
  renderResourceList,
  renderVersions,
} from "./discovery.ts";
import { encodingOf, parseAccept } from "./media-type.ts";
import type { ObjectService } from "./object-service.ts";
import type { OpenApiDocuments } from "./openapi-documents.ts";
import { json } from "./responses.ts";
import { version } from "./version.ts";

export interface Api {
  readonly service: ObjectService;
  readonly openApi: OpenApiDocuments;
  readonly authenticator: Authenticator;
  /** `host:port`, as discovery tells it. */
  readonly address: string;
}

/** Answers what a server tells of itself. @throws {StatusError} 404 */
export function handleDiscovery(api: Api, path: string, request: ApiRequest): ApiResponse {
  const found = request.method === "GET" ? find(api, path, request) : undefined;
  if (found !== undefined) return found;
  throw new StatusError(noSuchPath());
}

function find(api: Api, path: string, request: ApiRequest): ApiResponse | undefined {
  const { catalog } = api.service;
  const [root, group = "", second, ...more] = path.replace(/\/$/, "").split("/").slice(1);
  if (more.length > 0 && root !== "openapi") return undefined;
  switch (root) {
    case "":
    case undefined:
      return document({
        paths: [
          "/api",
          "/apis",
          "/healthz",
          "/livez",
          "/openapi/v2",
          "/openapi/v3",
          "/readyz",
          "/version",
        ],
      });
    case "api":
      if (group !== "") return document(renderResourceList(catalog, "", group));
      return aggregated(api, "api", request) ?? document(renderVersions(api.address));
    case "apis":
      if (second !== undefined) return document(renderResourceList(catalog, group, second));
      if (group !== "") return document(renderGroup(catalog, group));
      return aggregated(api, "apis", request) ?? document(renderGroupList(catalog));
    case "openapi":
      return api.openApi.find(path, request);
    case "version":
      return document(version);
    default:
      return undefined;
  }
}

function document(body: unknown): ApiResponse | undefined {
  return body === undefined ? undefined : json(200, body);
}

/** The whole of discovery in one document, for clients that put it before plain JSON. */
function aggregated(
  { service }: Api,
  root: "api" | "apis",
  request: ApiRequest,
): ApiResponse | undefined {
  for (const mediaType of parseAccept(request.accept)) {
    const { as, g: group, v } = mediaType.parameters;
    if (encodingOf(mediaType) !== "json") continue;
    if (as === undefined) return undefined;
    if (as !== "APIGroupDiscoveryList" || group !== "apidiscovery.k8s.io") continue;
    if (v !== "v2" && v !== "v2beta1") continue;
    return {
      ...json(200, renderAggregated(service.catalog, root, v)),
      contentType: `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList`,
    };
  }
  return undefined;
}
