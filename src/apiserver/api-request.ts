import { SelectorError, StatusError } from "../apimachinery/errors.ts";
import type { FieldValidation } from "../apimachinery/object.ts";
import { badRequest, notAcceptable, unsupportedMediaType } from "../apimachinery/status.ts";
import type { User } from "./authentication.ts";
import { decodeProtobufObject } from "./protobuf-object.ts";
import { type MediaType, negotiateShape, parseMediaType, type Shape } from "./media-type.ts";
import { parseYamlBody } from "./yaml-body.ts";

/** One request to a resource, its headers and parameters not yet understood. */
export interface ApiRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly userAgent: string | undefined;
  readonly body: Buffer | undefined;
  readonly user: User;
}

/** What a handler answers; the body is text already, as objects are mostly kept as text. */
export interface ApiResponse {
  readonly code: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
  /** Each becomes a Warning header, which kubectl prints. */
  readonly warnings?: readonly string[];
}

/** @throws {StatusError} 406 */
export function shapeOf(request: ApiRequest): Shape {
  const shape = negotiateShape(request.accept);
  if (shape !== undefined) return shape;
  throw new StatusError(notAcceptable(["application/json", "application/yaml"]));
}

export function contentTypeOf(request: ApiRequest): MediaType {
  return parseMediaType(request.contentType ?? "application/json");
}

const protobufType = "application/vnd.kubernetes.protobuf";

/** @throws {StatusError} 400 when it is not what it says to be, 415 for anything but JSON, YAML and protobuf */
export function bodyOf(request: ApiRequest): unknown {
  const { type } = contentTypeOf(request);
  switch (type) {
    case "application/json":
    case "":
      return parseText(request, (text) => JSON.parse(text));
    case "application/yaml":
      return parseText(request, parseYamlBody);
    case protobufType:
      return decoding(() => decodeProtobufObject(request.body ?? Buffer.alloc(0)));
    default:
      throw new StatusError(
        unsupportedMediaType(["application/json", "application/yaml", protobufType]),
      );
  }
}

/** @throws {StatusError} 400 */
export function parseText(request: ApiRequest, parse: (text: string) => unknown): unknown {
  const text = request.body?.toString("utf8") ?? "";
  if (text === "") throw new StatusError(badRequest("the request has no body"));
  return decoding(() => parse(text));
}

function decoding(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StatusError(badRequest(`error decoding the body: ${why}`));
  }
}

/** @throws {StatusError} 400 */
export function dryRunOf(query: URLSearchParams): boolean {
  const values = query.getAll("dryRun").filter((value) => value !== "");
  if (values.some((value) => value !== "All")) {
    throw new StatusError(
      badRequest(`dryRun: Unsupported value: ${JSON.stringify(values)}: supported values: "All"`),
    );
  }
  return values.length > 0;
}

/** @throws {StatusError} 400 */
export function fieldValidationOf(query: URLSearchParams): FieldValidation {
  const value = query.get("fieldValidation") ?? "";
  if (value === "") return "Warn";
  if (value === "Ignore" || value === "Warn" || value === "Strict") return value;
  const message = `fieldValidation: Unsupported value: ${JSON.stringify(value)}: supported values: "Ignore", "Strict", "Warn"`;
  throw new StatusError(badRequest(message));
}

/** Who owns what the request changes: what it says, else the name of its program. */
export function managerOf(request: ApiRequest): string {
  const named = request.query.get("fieldManager") ?? "";
  return named === "" ? (request.userAgent?.split("/")[0] ?? "unknown") : named;
}

export function flagOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value === "true" || value === "1";
}

/** A whole number of at least 0; undefined when it is absent. @throws {StatusError} 400 */
export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? "";
  if (text === "") return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new StatusError(
    badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a whole number`),
  );
}

/** Runs a parser of selectors; what it dislikes is the client's fault. @throws {StatusError} 400 */
export function parsing<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SelectorError) throw new StatusError(badRequest(error.message));
    throw error;
  }
}
