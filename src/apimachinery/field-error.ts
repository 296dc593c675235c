// Findings of validation in the words of the Kubernetes API (k8s.io/apimachinery/pkg/util/validation/field). Paths are text:
// `${path}.child`, `${path}[0]`.
import type { FieldError } from "./kind.ts";

/** Text as Go's %q prints it, as far as it occurs in error messages. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

function withDetail(head: string, detail: string): string {
  return detail === "" ? head : `${head}: ${detail}`;
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  const message = withDetail(`Invalid value: ${show(value)}`, detail);
  return { field, reason: "FieldValueInvalid", message };
}

export function typeInvalid(field: string, value: unknown, detail: string): FieldError {
  const message = withDetail(`Invalid value: ${show(value)}`, detail);
  return { field, reason: "FieldValueTypeInvalid", message };
}

export function required(field: string, detail = ""): FieldError {
  return { field, reason: "FieldValueRequired", message: withDetail("Required value", detail) };
}

export function duplicate(field: string, value: unknown): FieldError {
  return { field, reason: "FieldValueDuplicate", message: `Duplicate value: ${show(value)}` };
}

export function notFound(field: string, value: unknown): FieldError {
  return { field, reason: "FieldValueNotFound", message: `Not found: ${show(value)}` };
}

export function forbidden(field: string, detail: string): FieldError {
  return { field, reason: "FieldValueForbidden", message: withDetail("Forbidden", detail) };
}

/** `supported` is listed in the order given. */
export function notSupported(
  field: string,
  value: unknown,
  supported: readonly string[],
): FieldError {
  const detail =
    supported.length === 0 ? "" : `supported values: ${supported.map(quote).join(", ")}`;
  const message = withDetail(`Unsupported value: ${show(value)}`, detail);
  return { field, reason: "FieldValueNotSupported", message };
}

/** `maximumBytes` is what the field may have at most. */
export function tooLong(field: string, maximumBytes: number): FieldError {
  const unit = maximumBytes === 1 ? "byte" : "bytes";
  const message = `Too long: may not be more than ${maximumBytes} ${unit}`;
  return { field, reason: "FieldValueTooLong", message };
}

export function tooMany(field: string, length: number, maximum: number): FieldError {
  const unit = maximum === 1 ? "item" : "items";
  const message = `Too many: ${length}: must have at most ${maximum} ${unit}`;
  return { field, reason: "FieldValueTooMany", message };
}

/** One finding for each message, as the checks of names.ts return them. */
export function invalidEach(
  field: string,
  value: unknown,
  messages: readonly string[],
): FieldError[] {
  return messages.map((message) => invalid(field, value, message));
}
