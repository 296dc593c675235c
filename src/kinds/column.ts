// Columns that most kinds have.
import { formatAge } from "../apimachinery/duration.ts";
import type { KubeObject, PrinterColumn } from "../apimachinery/kind.ts";

export const nameColumn: PrinterColumn<KubeObject> = {
  name: "Name",
  type: "string",
  format: "name",
  description: "The object's name, unique in its namespace.",
  priority: 0,
  value: (object) => object.metadata.name,
};

export const ageColumn: PrinterColumn<KubeObject> = {
  name: "Age",
  type: "string",
  description: "Time since the object was created.",
  priority: 0,
  jsonPath: ".metadata.creationTimestamp",
  value: (object, now) => formatAge(object.metadata.creationTimestamp, now),
};

type Reader<T> = { read(object: T, now: Date): string | number }["read"];

/** A column of text that is always shown; own kinds have a JSON path for their CRDs. */
export function column<T>(
  name: string,
  description: string,
  value: Reader<T>,
  jsonPath?: string,
): PrinterColumn<T> {
  const path = jsonPath === undefined ? {} : { jsonPath };
  return { name, type: "string", description, priority: 0, value, ...path };
}

/** A column of text for `-o wide`. */
export function wideColumn<T>(
  name: string,
  description: string,
  value: Reader<T>,
  jsonPath?: string,
): PrinterColumn<T> {
  return { ...column(name, description, value, jsonPath), priority: 1 };
}

/** What kubectl prints for nothing. */
export function orNone(text: string | undefined): string {
  return text === undefined || text === "" ? "<none>" : text;
}

/** `app=web,tier=front`, sorted; `<none>` for no labels. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return orNone(pairs.toSorted().join(","));
}
