import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import { decodeObject } from "../apimachinery/object.ts";
import { conflict, methodNotSupported, noSuchPath } from "../apimachinery/status.ts";
import {
  type ApiRequest,
  type ApiResponse,
  bodyOf,
  dryRunOf,
  managerOf,
  shapeOf,
} from "./api-request.ts";
import { isNamespace, namespaceFinalizers, setNamespaceFinalizers } from "./namespace-rules.ts";
import { viewObject } from "./object-codec.ts";
import { getObject, putObject } from "./object-handlers.ts";
import type { Change, ObjectService, Target } from "./object-service.ts";
import { patcherOf, patchObject } from "./patch-objects.ts";
import { document, respond } from "./responses.ts";
import { applyScale, renderScale, scaleSchema } from "./scale.ts";

/** Parts of a pod that only a kubelet could serve. */
const kubeletParts = new Set(["log", "exec", "attach", "portforward", "proxy"]);

export async function handleSubresource(
  service: ObjectService,
  target: Target,
  subresource: string,
  request: ApiRequest,
): Promise<ApiResponse> {
  const { kind } = target;
  if (subresource === "status" && kind.hasStatus)
    return await handleStatus(service, target, request);
  if (subresource === "finalize" && isNamespace(kind)) {
    return await finalizeNamespace(service, target, request);
  }
  if (subresource === "scale" && kind.subresources?.includes("scale")) {
    return await handleScale(service, target, request);
  }
  if (subresource === "binding" && kind.subresources?.includes("binding")) {
    return await bindPod(service, target, request);
  }
  if (kind.kind === "Pod" && kubeletParts.has(subresource)) {
    await service.read(target);
    throw new StatusError(notServed(subresource));
  }
  throw new StatusError(noSuchPath());
}

function notServed(subresource: string): StatusError["status"] {
  const message = `pods/${subresource} is not served here: this server has no kubelets`;
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason: "NotImplemented",
    code: 501,
  };
}

async function handleStatus(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
): Promise<ApiResponse> {
  switch (request.method) {
    case "GET":
      return await getObject(service, target, request);
    case "PUT":
      return await putObject(service, target, request, "status");
    case "PATCH": {
      const written = await patchObject(service, target, request, "status");
      return respond(service, target.kind, request, written);
    }
    default:
      throw new StatusError(methodNotSupported(target.kind, request.method.toLowerCase()));
  }
}

async function handleScale(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
): Promise<ApiResponse> {
  const shape = shapeOf(request);
  const change = scaleChangeOf(request, target);
  if (change === undefined) {
    return document(shape, JSON.stringify(renderScale(viewObject(await service.read(target)))));
  }
  const options = { dryRun: dryRunOf(request.query), manager: managerOf(request) };
  const { entry } = await service.update(target, change, { ...options, subresource: "scale" });
  return document(shape, JSON.stringify(renderScale(viewObject(entry))));
}

function scaleChangeOf(request: ApiRequest, { kind }: Target): Change | undefined {
  switch (request.method) {
    case "GET":
      return undefined;
    case "PUT": {
      const scale = bodyOf(request);
      return (current) => applyScale(current, scale);
    }
    case "PATCH": {
      const patch = patcherOf(request);
      return (current) => applyScale(current, patch(renderScale(current), scaleSchema));
    }
    default:
      throw new StatusError(methodNotSupported(kind, request.method.toLowerCase()));
  }
}

/** Gives a pod its node, once. */
async function bindPod(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
): Promise<ApiResponse> {
  if (request.method !== "POST") {
    throw new StatusError(methodNotSupported(target.kind, request.method.toLowerCase()));
  }
  const body = bodyOf(request);
  const reference = isObject(body) && isObject(body["target"]) ? body["target"] : {};
  const node = typeof reference["name"] === "string" ? reference["name"] : "";
  const change: Change = (current) => {
    const spec = isObject(current.spec) ? current.spec : {};
    if (spec["nodeName"]) {
      const why = `pod ${target.name} is already assigned to node ${JSON.stringify(spec["nodeName"])}`;
      throw new StatusError(conflict({ ...target.kind, plural: "pods/binding" }, target.name, why));
    }
    return { ...current, spec: { ...spec, nodeName: node } };
  };
  await service.update(target, change, { dryRun: dryRunOf(request.query), subresource: "binding" });
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
  return { ...document(shapeOf(request), JSON.stringify(status)), code: 201 };
}

/** Takes over spec.finalizers, which nothing else may change. */
async function finalizeNamespace(
  service: ObjectService,
  target: Target,
  request: ApiRequest,
): Promise<ApiResponse> {
  if (request.method !== "PUT") {
    throw new StatusError(methodNotSupported(target.kind, request.method.toLowerCase()));
  }
  const { object } = decodeObject(target.kind, bodyOf(request), "Ignore");
  const finalizers = namespaceFinalizers(object);
  const written = await service.update(
    target,
    (current) => {
      setNamespaceFinalizers(current, finalizers);
      return current;
    },
    { dryRun: dryRunOf(request.query), subresource: "finalize" },
  );
  return respond(service, target.kind, request, written);
}
