// The part of OpenAPI v3 schema objects (OpenAPI 3.0.3, section 4.7.24) that Kubernetes uses, with its extensions. TypeBox
// schemas are such objects too.

/**
 * What is said to servers that know a kind by its schema alone (CustomResourceDefinition). The kind's own checks say the same,
 * in upstream's words.
 */
interface CrdConstraints extends Pick<
  Schema,
  "minimum" | "maximum" | "pattern" | "minLength" | "maxLength" | "minItems" | "maxItems"
> {
  /** CEL, understood from Kubernetes 1.25 on; `oldSelf` makes a rule one for updates. */
  readonly validations?: readonly { readonly rule: string; readonly message: string }[];
}

/**
 * One schema. Sub-schemas are nested by reference, never as `$ref`. Read it lazily: the properties of built-in types are built
 * when first asked for.
 */
export interface Schema {
  /** Makes it a component: rendered once in a document, under this name (openapi.ts). */
  readonly $id?: string;
  /** The component that this schema is, where a place has its own description or list keywords. */
  readonly component?: Schema;
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[] | undefined;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  /** Rules in CEL for API servers that have it; here each kind's own validation holds them. */
  readonly "x-kubernetes-validations"?: readonly {
    readonly rule: string;
    readonly message: string;
  }[];
  /** The value is an integer or a string. */
  readonly "x-kubernetes-int-or-string"?: boolean;
  /** Fields that the schema does not name are kept. */
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  /** How server-side apply merges a list; `atomic` when absent. */
  readonly "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  /** How server-side apply merges an object; `granular` when absent. */
  readonly "x-kubernetes-map-type"?: "atomic" | "granular";
  /** `merge`, `replace`, `retainKeys` or `merge,retainKeys`. */
  readonly "x-kubernetes-patch-strategy"?: string;
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly crd?: CrdConstraints;
}

/** The schema of an object's member; `undefined` when the schema says nothing of it. */
export function memberSchema(schema: Schema | undefined, name: string): Schema | undefined {
  const { properties, additionalProperties } = schema ?? {};
  if (properties !== undefined && Object.hasOwn(properties, name)) return properties[name];
  return typeof additionalProperties === "object" ? additionalProperties : undefined;
}
