// Status objects (meta/v1): what the API answers when a request fails. Texts, reasons and codes are upstream's
// (k8s.io/apimachinery/pkg/api/errors).
import { quote } from "./field-error.ts";
import type { FieldError, KindDefinition } from "./kind.ts";

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: { readonly continue?: string };
  readonly status: "Success" | "Failure";
  readonly message: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  /** The HTTP status code. */
  readonly code: number;
}

/** What a status says of a kind: resource (plural) and group. */
export type Resource = Pick<KindDefinition, "group" | "plural" | "kind">;

/** `deployments.apps`, `pods`. */
function qualifiedResource(resource: Pick<Resource, "group" | "plural">): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** `Deployment.apps`, `Pod`. */
function qualifiedKind(resource: Pick<Resource, "group" | "kind">): string {
  return resource.group === "" ? resource.kind : `${resource.kind}.${resource.group}`;
}

interface Failure {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details?: StatusDetails;
}

function failure({ code, reason, message, details }: Failure): Status {
  const base = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" } as const;
  return { ...base, message, reason, ...(details && { details }), code };
}

function detailsOf(resource: Resource, name: string): StatusDetails {
  return {
    ...(name !== "" && { name }),
    ...(resource.group !== "" && { group: resource.group }),
    kind: resource.plural,
  };
}

/** The answer to a deletion that left nothing behind. */
export function success(resource: Resource, name: string, uid: string): Status {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    message: "",
    details: { ...detailsOf(resource, name), uid },
    code: 200,
  };
}

export function badRequest(message: string): Status {
  return failure({ code: 400, reason: "BadRequest", message });
}

export function unauthorized(message = "Unauthorized"): Status {
  return failure({ code: 401, reason: "Unauthorized", message });
}

export function forbiddenRequest(resource: Resource, name: string, why: string): Status {
  const subject =
    name === "" ? qualifiedResource(resource) : `${qualifiedResource(resource)} ${quote(name)}`;
  const message = `${subject} is forbidden: ${why}`;
  return failure({ code: 403, reason: "Forbidden", message, details: detailsOf(resource, name) });
}

/** No such object. */
export function notFound(resource: Resource, name: string): Status {
  const message = `${qualifiedResource(resource)} ${quote(name)} not found`;
  return failure({ code: 404, reason: "NotFound", message, details: detailsOf(resource, name) });
}

/** No such path. */
export function noSuchPath(): Status {
  const message = "the server could not find the requested resource";
  return failure({ code: 404, reason: "NotFound", message, details: {} });
}

export function methodNotSupported(resource: Resource, verb: string): Status {
  const message = `${verb} is not supported on resources of kind ${quote(qualifiedResource(resource))}`;
  return failure({
    code: 405,
    reason: "MethodNotAllowed",
    message,
    details: detailsOf(resource, ""),
  });
}

export function notAcceptable(accepted: readonly string[]): Status {
  const message = `only the following media types are accepted: ${accepted.join(", ")}`;
  return failure({ code: 406, reason: "NotAcceptable", message });
}

export function alreadyExists(resource: Resource, name: string): Status {
  const message = `${qualifiedResource(resource)} ${quote(name)} already exists`;
  return failure({
    code: 409,
    reason: "AlreadyExists",
    message,
    details: detailsOf(resource, name),
  });
}

/** `why` defaults to upstream's text for a stale resourceVersion. */
export function conflict(
  resource: Resource,
  name: string,
  why = "the object has been modified; please apply your changes to the latest version and try again",
): Status {
  const message = `Operation cannot be fulfilled on ${qualifiedResource(resource)} ${quote(name)}: ${why}`;
  return failure({ code: 409, reason: "Conflict", message, details: detailsOf(resource, name) });
}

/** The answer to a server-side apply that others' fields stand against. */
export function applyConflict(message: string, causes: readonly StatusCause[]): Status {
  return failure({ code: 409, reason: "Conflict", message, details: { causes } });
}

/** A watch or list continuation from a revision that is compacted. */
export function expired(message: string): Status {
  return failure({ code: 410, reason: "Expired", message });
}

export function tooLarge(message: string): Status {
  const text = `Request entity too large: ${message}`;
  return failure({ code: 413, reason: "RequestEntityTooLarge", message: text });
}

export function unsupportedMediaType(accepted: readonly string[]): Status {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`;
  return failure({ code: 415, reason: "UnsupportedMediaType", message });
}

/** `["a"]` prints as `a`, several as `[a, b]`, equal ones once. */
function aggregate(messages: readonly string[]): string {
  const distinct = [...new Set(messages)];
  return distinct.length === 1 ? String(distinct[0]) : `[${distinct.join(", ")}]`;
}

/** The object does not pass validation. `errors` must not be empty. */
export function invalidObject(
  resource: Resource,
  name: string,
  errors: readonly FieldError[],
): Status {
  const summary = aggregate(errors.map((error) => `${error.field}: ${error.message}`));
  return failure({
    code: 422,
    reason: "Invalid",
    message: `${qualifiedKind(resource)} ${quote(name)} is invalid: ${summary}`,
    details: {
      ...(name !== "" && { name }),
      ...(resource.group !== "" && { group: resource.group }),
      kind: resource.kind,
      causes: errors.map(({ reason, message, field }) => ({ reason, message, field })),
    },
  });
}

export function internalError(why: string): Status {
  const message = `Internal error occurred: ${why}`;
  const details = { causes: [{ message: why }] };
  return failure({ code: 500, reason: "InternalError", message, details });
}

export function unavailable(message: string): Status {
  return failure({ code: 503, reason: "ServiceUnavailable", message });
}

export function timeout(message: string, retryAfterSeconds = 0): Status {
  const details = { retryAfterSeconds };
  return failure({ code: 504, reason: "Timeout", message: `Timeout: ${message}`, details });
}
