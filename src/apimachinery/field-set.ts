// Sets of fields, as metadata.managedFields keeps them (FieldsV1, sigs.k8s.io/structured-merge-diff/fieldpath). A path is a
// list of elements:
//
//   f:NAME             member of an object
//   k:{"name":"web"}   item of a list by its keys, sorted by name
//   v:"text"           item of a set
import { isObject, maximumDepth, setMember, type JsonObject } from "./json.ts";

export type PathElement = string;
export type FieldPath = readonly PathElement[];

/** Marks that a path is in the set, beside longer paths that start with it. */
const selfMark = ".";

function keyOf(path: FieldPath): string {
  return JSON.stringify(path);
}

/** An immutable set of paths. */
export class FieldSet {
  readonly #paths: ReadonlyMap<string, FieldPath>;

  constructor(paths: Iterable<FieldPath> = []) {
    this.#paths = new Map(Array.from(paths, (path) => [keyOf(path), path]));
  }

  get size(): number {
    return this.#paths.size;
  }

  has(path: FieldPath): boolean {
    return this.#paths.has(keyOf(path));
  }

  paths(): FieldPath[] {
    return [...this.#paths.values()];
  }

  union(other: FieldSet): FieldSet {
    return new FieldSet([...this.paths(), ...other.paths()]);
  }

  difference(other: FieldSet): FieldSet {
    return this.filter((path) => !other.has(path));
  }

  intersection(other: FieldSet): FieldSet {
    return this.filter((path) => other.has(path));
  }

  filter(keep: (path: FieldPath) => boolean): FieldSet {
    return new FieldSet(this.paths().filter(keep));
  }

  equals(other: FieldSet): boolean {
    return this.size === other.size && this.difference(other).size === 0;
  }
}

interface Node {
  member: boolean;
  readonly children: Map<PathElement, Node>;
}

function renderNode(node: Node): JsonObject {
  const result: JsonObject = {};
  if (node.member && node.children.size > 0) result[selfMark] = {};
  for (const [element, child] of [...node.children].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    setMember(result, element, renderNode(child));
  }
  return result;
}

/** The set as `fieldsV1`, sorted. */
export function renderFieldsV1(set: FieldSet): JsonObject {
  const root: Node = { member: false, children: new Map() };
  for (const path of set.paths()) {
    let node = root;
    for (const element of path) {
      const child = node.children.get(element) ?? { member: false, children: new Map() };
      node.children.set(element, child);
      node = child;
    }
    node.member = true;
  }
  return renderNode(root);
}

function isElement(text: string): boolean {
  if (text.startsWith("f:")) return true;
  if (!/^[kvi]:/.test(text)) return false;
  try {
    const value: unknown = JSON.parse(text.slice(2));
    return !text.startsWith("k:") || isObject(value);
  } catch {
    return false;
  }
}

function collectPaths(value: unknown, path: FieldPath, paths: FieldPath[]): boolean {
  if (!isObject(value) || path.length > maximumDepth) return false;
  const entries = Object.entries(value);
  const isMember = entries.length === 0 || Object.hasOwn(value, selfMark);
  if (isMember && path.length > 0) paths.push(path);
  return entries.every(
    ([element, child]) =>
      element === selfMark ||
      (isElement(element) && collectPaths(child, [...path, element], paths)),
  );
}

/** `undefined` for what is no `fieldsV1`. */
export function parseFieldsV1(value: unknown): FieldSet | undefined {
  const paths: FieldPath[] = [];
  return collectPaths(value, [], paths) ? new FieldSet(paths) : undefined;
}

function formatElement(element: PathElement): string {
  const rest = element.slice(2);
  if (element.startsWith("f:")) return `.${rest}`;
  if (element.startsWith("v:")) return `[=${rest}]`;
  if (!element.startsWith("k:")) return `[${rest}]`;
  const keys: unknown = JSON.parse(rest);
  const pairs = Object.entries(isObject(keys) ? keys : {});
  return `[${pairs.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}]`;
}

/** As conflicts show it: `.spec.template.spec.containers[name="web"].image`. */
export function formatFieldPath(path: FieldPath): string {
  return path.map(formatElement).join("");
}
