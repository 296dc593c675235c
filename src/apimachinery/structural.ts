// Unknown JSON read by a schema, as the Kubernetes API reads a body into a typed object: what the schema does not know is
// dropped and named, `null` stands for absence, and a value of the wrong type is an error.
import {
  required,
  typeInvalid,
  invalid,
  invalidEach,
  notSupported,
  tooMany,
} from "./field-error.ts";
import { getMember, isObject, setMember, type JsonObject } from "./json.ts";
import type { FieldError } from "./kind.ts";
import { checkInRange } from "./names.ts";
import { parseQuantity } from "./quantity.ts";
import { memberSchema, type Schema } from "./schema.ts";

export interface ReadResult {
  /** The value without unknown fields and nulls; parts of the wrong type are left out. Shares no object with the input. */
  readonly value: unknown;
  readonly typeErrors: FieldError[];
  /** Paths of the fields that were dropped, e.g. `spec.template.foo`. */
  readonly unknownFields: string[];
}

/** Reads any JSON; never throws. `path` is where the value stands, empty for a whole object. */
export function readStructure(schema: Schema, value: unknown, path = ""): ReadResult {
  const reader = new StructureReader();
  const read = reader.read(schema, value, path);
  return { value: read, typeErrors: reader.typeErrors, unknownFields: reader.unknownFields };
}

function child(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

class StructureReader {
  readonly typeErrors: FieldError[] = [];
  readonly unknownFields: string[] = [];

  read(schema: Schema, value: unknown, path: string): unknown {
    if (schema["x-kubernetes-int-or-string"] === true) {
      return Number.isInteger(value) || typeof value === "string"
        ? value
        : this.#wrong(path, value, "integer or string");
    }
    const { type = "any" } = schema;
    switch (type) {
      case "object":
        return isObject(value)
          ? this.#object(schema, value, path)
          : this.#wrong(path, value, "object");
      case "array":
        return Array.isArray(value)
          ? this.#list(schema, value, path)
          : this.#wrong(path, value, "array");
      case "string":
        return this.#text(schema, value, path);
      case "integer":
        return Number.isInteger(value) ? value : this.#wrong(path, value, "integer");
      case "number":
        return typeof value === "number" ? value : this.#wrong(path, value, "number");
      case "boolean":
        return typeof value === "boolean" ? value : this.#wrong(path, value, "boolean");
      default:
        return value;
    }
  }

  #wrong(path: string, value: unknown, expected: string): undefined {
    const got = typeName(value);
    const detail = `${path} in body must be of type ${expected}: "${got}"`;
    this.typeErrors.push(typeInvalid(path, got, detail));
    return undefined;
  }

  #text(schema: Schema, value: unknown, path: string): unknown {
    // A quantity may be written as a number: `cpu: 2`.
    if (schema.format === "quantity" && typeof value === "number") return String(value);
    return typeof value === "string" ? value : this.#wrong(path, value, "string");
  }

  #object(schema: Schema, value: JsonObject, path: string): JsonObject {
    const keepUnknown =
      schema["x-kubernetes-preserve-unknown-fields"] === true ||
      schema.additionalProperties === true;
    const result: JsonObject = {};
    for (const [name, item] of Object.entries(value)) {
      const member = memberSchema(schema, name);
      if (member === undefined) {
        if (keepUnknown) setMember(result, name, item);
        else this.unknownFields.push(child(path, name));
        continue;
      }
      const field = child(path, name);
      const absent = item === null || item === undefined;
      const read = absent ? this.#zeroInMap(schema, member, name) : this.read(member, item, field);
      if (read !== undefined) setMember(result, name, read);
    }
    return result;
  }

  /** `null` for a named field is absence; for an entry of a map it is the type's zero value, and the entry stays. */
  #zeroInMap(schema: Schema, member: Schema, name: string): unknown {
    const named = schema.properties !== undefined && Object.hasOwn(schema.properties, name);
    return named ? undefined : zeroOf(member);
  }

  #list(schema: Schema, value: readonly unknown[], path: string): unknown[] {
    const items = schema.items ?? {};
    return value.map((item, index) =>
      item === null ? zeroOf(items) : this.read(items, item, `${path}[${index}]`),
    );
  }
}

function zeroOf({ type = "any" }: Schema): unknown {
  switch (type) {
    case "object":
      return {};
    case "array":
      return [];
    case "integer":
    case "number":
      return 0;
    case "boolean":
      return false;
    default:
      return "";
  }
}

/** Fills in `default` wherever an object lacks the field. Changes its argument, which `readStructure` made. */
export function applySchemaDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) applySchemaDefaults(schema.items ?? {}, item);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    if (value[name] === undefined && member.default !== undefined) {
      value[name] = structuredClone(member.default);
    }
  }
  for (const [name, item] of Object.entries(value)) {
    const member = memberSchema(schema, name);
    if (member !== undefined) applySchemaDefaults(member, item);
  }
}

/**
 * What a value of the right type may still get wrong: required fields, enumerations, bounds and formats. Never throws. Items
 * that a list has twice are left to the kinds: some of Kubernetes' lists of type `map` do have them.
 */
export function checkConstraints(schema: Schema, value: unknown, path = ""): FieldError[] {
  if (Array.isArray(value)) return checkList(schema, value, path);
  if (isObject(value)) return checkObject(schema, value, path);
  if (typeof value === "string") return checkText(schema, value, path);
  if (typeof value === "number") return checkNumber(schema, value, path);
  return [];
}

function checkObject(schema: Schema, value: JsonObject, path: string): FieldError[] {
  const errors = (schema.required ?? [])
    .filter((name) => getMember(value, name) === undefined)
    .map((name) => required(child(path, name)));
  errors.push(...checkLength(schema, Object.keys(value).length, path));
  for (const [name, item] of Object.entries(value)) {
    const member = memberSchema(schema, name);
    if (member !== undefined) errors.push(...checkConstraints(member, item, child(path, name)));
  }
  return errors;
}

function checkLength(
  { minProperties, maxProperties }: Schema,
  length: number,
  path: string,
): FieldError[] {
  if (minProperties !== undefined && length < minProperties) {
    const rule = `${path} in body should have at least ${minProperties} properties`;
    return [invalid(path, length, rule)];
  }
  if (maxProperties !== undefined && length > maxProperties) {
    return [tooMany(path, length, maxProperties)];
  }
  return [];
}

function checkList(schema: Schema, value: readonly unknown[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { minItems, maxItems, items = {} } = schema;
  if (minItems !== undefined && value.length < minItems) {
    errors.push(
      invalid(path, value.length, `${path} in body should have at least ${minItems} items`),
    );
  }
  if (maxItems !== undefined && value.length > maxItems) {
    errors.push(tooMany(path, value.length, maxItems));
  }
  for (const [index, item] of value.entries()) {
    errors.push(...checkConstraints(items, item, `${path}[${index}]`));
  }
  return errors;
}

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;
const base64 = /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function checkFormat(format: string, text: string): string[] {
  switch (format) {
    case "date-time":
      return dateTime.test(text) && !Number.isNaN(Date.parse(text))
        ? []
        : ["must be a date and time of the form 2006-01-02T15:04:05Z (RFC 3339)"];
    case "byte":
      return base64.test(text) ? [] : ["must be base64 (RFC 4648 section 4)"];
    case "quantity":
      return parseQuantity(text) === undefined
        ? [
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
          ]
        : [];
    default:
      return [];
  }
}

function checkText(schema: Schema, text: string, path: string): FieldError[] {
  const errors = invalidEach(path, text, checkFormat(schema.format ?? "", text));
  if (schema.enum !== undefined && !schema.enum.includes(text)) {
    errors.push(notSupported(path, text, schema.enum.map(String)));
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(text)) {
    errors.push(invalid(path, text, `${path} in body should match '${schema.pattern}'`));
  }
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
  if (text.length < minLength) {
    errors.push(invalid(path, text, `${path} in body should be at least ${minLength} chars long`));
  }
  if (text.length > maxLength) {
    errors.push(invalid(path, text, `${path} in body should be at most ${maxLength} chars long`));
  }
  return errors;
}

function formatBounds(format: string | undefined): readonly [number, number] {
  if (format === "int32") return [-(2 ** 31), 2 ** 31 - 1];
  // JSON numbers beyond this are no longer exact.
  return [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
}

function checkNumber(schema: Schema, value: number, path: string): FieldError[] {
  if (schema.type === "integer" || schema["x-kubernetes-int-or-string"] === true) {
    const intOrString = schema["x-kubernetes-int-or-string"] === true;
    const [from, to] = formatBounds(intOrString ? "int32" : schema.format);
    const outOfRange = checkInRange(value, from, to);
    if (outOfRange.length > 0) return invalidEach(path, value, outOfRange);
  }
  const { minimum, maximum } = schema;
  if (minimum !== undefined && value < minimum) {
    return [invalid(path, value, `${path} in body should be greater than or equal to ${minimum}`)];
  }
  if (maximum !== undefined && value > maximum) {
    return [invalid(path, value, `${path} in body should be less than or equal to ${maximum}`)];
  }
  return [];
}
