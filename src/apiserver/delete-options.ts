import { StatusError } from "../apimachinery/errors.ts";
import { isObject, type JsonObject } from "../apimachinery/json.ts";
import { badRequest } from "../apimachinery/status.ts";
import { type ApiRequest, bodyOf, dryRunOf, numberOf } from "./api-request.ts";
import type { DeleteOptions, Propagation } from "./deletion.ts";

/** The options of a deletion, from its body (v1 DeleteOptions), and from its parameters where the body is silent. */
export function deleteOptionsOf(request: ApiRequest): DeleteOptions {
  const hasBody = request.body !== undefined && request.body.length > 0;
  const parsed = hasBody ? bodyOf(request) : {};
  if (!isObject(parsed)) throw new StatusError(badRequest("expected DeleteOptions"));
  const propagation = propagationOf(parsed, request.query);
  const gracePeriodSeconds = graceOf(parsed) ?? numberOf(request.query, "gracePeriodSeconds");
  const { dryRun } = parsed;
  return {
    dryRun: dryRunOf(request.query) || (Array.isArray(dryRun) && dryRun.includes("All")),
    preconditions: preconditionsOf(parsed),
    ...(propagation !== undefined && { propagation }),
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
  };
}

function propagationOf(body: JsonObject, query: URLSearchParams): Propagation | undefined {
  const orphans = body["orphanDependents"] ?? query.get("orphanDependents") ?? undefined;
  if (orphans !== undefined) {
    return orphans === true || orphans === "true" ? "Orphan" : "Background";
  }
  const policy = body["propagationPolicy"] ?? query.get("propagationPolicy") ?? "";
  if (policy === "") return undefined;
  if (policy === "Background" || policy === "Foreground" || policy === "Orphan") return policy;
  const message = `propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan"`;
  throw new StatusError(badRequest(message));
}

function graceOf(body: JsonObject): number | undefined {
  const seconds = body["gracePeriodSeconds"];
  if (seconds === undefined || seconds === null) return undefined;
  if (typeof seconds === "number" && Number.isInteger(seconds) && seconds >= 0) return seconds;
  const message = `gracePeriodSeconds: Invalid value: ${JSON.stringify(seconds)}: must be a whole number of at least 0`;
  throw new StatusError(badRequest(message));
}

function preconditionsOf(body: JsonObject): NonNullable<DeleteOptions["preconditions"]> {
  const { uid, resourceVersion } = isObject(body["preconditions"]) ? body["preconditions"] : {};
  return {
    ...(typeof uid === "string" && { uid }),
    ...(typeof resourceVersion === "string" && { resourceVersion }),
  };
}
