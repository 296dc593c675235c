// TypeScript types of built-in kinds: the models of the pinned client package, as they stand in JSON.
import type { ObjectMeta } from "../apimachinery/kind.ts";

/** The client package writes `from`, a reserved word, as `_from`. */
type FieldName<Key> = Key extends `_${infer Name}` ? Name : Key;

/** A model in JSON: times are text. */
type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T as FieldName<Key>]: Wire<T[Key]> }
      : T;

/** A whole object of a kind; `spec` and `status` may be missing, as in what a client sent. */
export type ObjectOf<Model> = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
} & {
  [Key in keyof Model as Key extends "apiVersion" | "kind" | "metadata" ? never : Key]: Wire<
    Model[Key]
  >;
};
