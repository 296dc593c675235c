// Reading parsed JSON that may hold anything. Objects come from API servers, but a version that Isobar does not know, or
// a server that does not validate, may send what no schema foresees.

/** A part of an object that could not be understood, and what was made of it. */
export interface Problem {
  /** e.g. `spec.ingress[0].from[1].ipBlock.cidr` */
  readonly field: string;
  readonly message: string;
}

export interface Translation<T> {
  readonly value: T;
  readonly problems: readonly Problem[];
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An own field of an object; null and what is no object give `undefined`. */
export function fieldOf(value: unknown, name: string): unknown {
  if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
  return value[name] ?? undefined;
}

/** The value at the end of a path of fields. */
export function fieldAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce(fieldOf, value);
}

/** An absent list is empty; `undefined` where there is something else than a list. */
export function listOf(value: unknown): readonly unknown[] | undefined {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : undefined;
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isLabels(value: JsonObject): value is Readonly<Record<string, string>> {
  return Object.values(value).every((each) => typeof each === "string");
}

/** Absent labels are none; `undefined` where a value is no text. */
export function labelsOf(value: unknown): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return {};
  if (!isObject(value)) return undefined;
  return isLabels(value) ? value : undefined;
}

/** Fields with a value that are not among those named. */
export function unknownFields(value: JsonObject, known: readonly string[]): readonly string[] {
  return Object.keys(value).filter(
    (name) => !known.includes(name) && value[name] !== null && value[name] !== undefined,
  );
}

/** A value in a message: short, and as the user wrote it. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
