import { applyConfiguration } from "../apimachinery/apply.ts";
import { PatchError, StatusError } from "../apimachinery/errors.ts";
import { applyJsonPatch } from "../apimachinery/json-patch.ts";
import type { JsonObject } from "../apimachinery/json.ts";
import type { KubeObject } from "../apimachinery/kind.ts";
import { applyMergePatch } from "../apimachinery/merge-patch.ts";
import { decodeObject } from "../apimachinery/object.ts";
import { badRequest, unsupportedMediaType } from "../apimachinery/status.ts";
import { applyStrategicMergePatch } from "../apimachinery/strategic-merge.ts";
import type { Schema } from "../apimachinery/schema.ts";
import {
  type ApiRequest,
  contentTypeOf,
  dryRunOf,
  fieldValidationOf,
  flagOf,
  managerOf,
  parseText,
} from "./api-request.ts";
import type { ObjectService, Target, Written } from "./object-service.ts";
import { formatTime } from "./prepare.ts";
import { parseYamlBody } from "./yaml-body.ts";

const applyType = "application/apply-patch+yaml";

type Patcher = (document: JsonObject, patch: unknown, schema: Schema) => unknown;

const patchers: Readonly<Record<string, Patcher>> = {
  "application/json-patch+json": applyJsonPatch,
  "application/merge-patch+json": applyMergePatch,
  "application/strategic-merge-patch+json": applyStrategicMergePatch,
};

/** Makes a document of another one, as the request's patch says. @throws {StatusError} 400, 415 or 422 */
export function patcherOf(request: ApiRequest): (document: JsonObject, schema: Schema) => unknown {
  const { type } = contentTypeOf(request);
  const patcher = Object.hasOwn(patchers, type) ? patchers[type] : undefined;
  if (patcher === undefined) {
    throw new StatusError(unsupportedMediaType([...Object.keys(patchers), applyType]));
  }
  const patch = parseText(request, (text) => JSON.parse(text));
  return (document, schema) => rejecting(() => patcher(document, patch, schema));
}

/** Patches the object, or applies a configuration to it, which may create it. */
export async function patchObject(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
  subresource: string | undefined,
): Promise<Written & { readonly warnings: readonly string[] }> {
  if (contentTypeOf(request).type === applyType) {
    return await applyObject(service, target, request, subresource);
  }
  const { kind } = target;
  const patch = patcherOf(request);
  const validation = fieldValidationOf(request.query);
  let warnings: readonly string[] = [];
  const written = await service.update(
    target,
    (current) => {
      const decoded = decodeObject(kind, patch(current, kind.schema), validation);
      ({ warnings } = decoded);
      return decoded.object;
    },
    {
      dryRun: dryRunOf(request.query),
      manager: managerOf(request),
      ...(subresource !== undefined && { subresource }),
    },
  );
  return { ...written, warnings };
}

async function applyObject(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
  subresource: string | undefined,
): Promise<Written & { readonly warnings: readonly string[] }> {
  const { kind, namespace } = target;
  const { query } = request;
  const manager = query.get("fieldManager") ?? "";
  if (manager === "") {
    throw new StatusError(badRequest("fieldManager: Required value: is required for apply patch"));
  }
  const body = parseText(request, parseYamlBody);
  const { object: configuration, warnings } = decodeObject(kind, body, fieldValidationOf(query));
  checkName(configuration, target);
  const writer = {
    manager,
    time: formatTime(service.now()),
    force: flagOf(query, "force"),
    ...(subresource !== undefined && { subresource }),
  };
  const apply = (live: KubeObject | undefined): KubeObject => {
    const result = rejecting(() => applyConfiguration(kind, live, configuration, writer));
    if (result.kind === "conflict") throw new StatusError(result.status);
    return result.object;
  };
  const options = {
    dryRun: dryRunOf(query),
    ...(subresource !== undefined && { subresource }),
  };
  try {
    return { ...(await service.update(target, apply, options)), warnings };
  } catch (error) {
    const missing = error instanceof StatusError && error.status.reason === "NotFound";
    if (!missing || subresource !== undefined) throw error;
  }
  return { ...(await service.create(kind, namespace, apply(undefined), options)), warnings };
}

function checkName({ metadata }: KubeObject, { kind, name }: Target): void {
  if (metadata.name === undefined) metadata.name = name;
  if (metadata.name === name) return;
  const message = `the name of the object (${metadata.name}) does not match the name on the URL (${name})`;
  throw new StatusError(badRequest(`${kind.kind}: ${message}`));
}

/** A patch that does not fit is the client's fault. */
function rejecting<T>(patch: () => T): T {
  try {
    return patch();
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    throw new StatusError({ ...badRequest(error.message), code: 422, reason: "Invalid" });
  }
}
