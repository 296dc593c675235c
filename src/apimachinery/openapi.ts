// Schemas as OpenAPI documents hold them: components by name, `$ref` between them.
import type { JsonObject } from "./json.ts";
import type { Schema } from "./schema.ts";

/** v3 is OpenAPI 3.0 (`/openapi/v3`), v2 is Swagger 2.0 (`/openapi/v2`, for kubectl before 1.27). */
export type OpenApiDialect = "v2" | "v3";

const referencePrefix: Readonly<Record<OpenApiDialect, string>> = {
  v2: "#/definitions/",
  v3: "#/components/schemas/",
};

/** Keywords that are copied as they are. */
const plainKeywords = [
  "description",
  "default",
  "enum",
  "required",
  "minimum",
  "maximum",
  "pattern",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "x-kubernetes-validations",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
  "x-kubernetes-patch-strategy",
  "x-kubernetes-patch-merge-key",
] as const satisfies readonly (keyof Schema)[];

/** Of a place that refers to a component, only what is its own. */
const placeKeywords = [
  "description",
  "default",
  "x-kubernetes-patch-strategy",
  "x-kubernetes-patch-merge-key",
] as const satisfies readonly (keyof Schema)[];

function pick(schema: Schema, keywords: readonly (keyof Schema)[]): JsonObject {
  const present = keywords.filter((keyword) => schema[keyword] !== undefined);
  return Object.fromEntries(present.map((keyword) => [keyword, schema[keyword]]));
}

/** Collects the components of one document. */
export class OpenApiComponents {
  readonly #dialect: OpenApiDialect;
  readonly #components = new Map<string, JsonObject>();

  constructor(dialect: OpenApiDialect) {
    this.#dialect = dialect;
  }

  /** The rendered schema for a place in the document; components that it needs are added. */
  render(schema: Schema): JsonObject {
    if (schema.component !== undefined)
      return this.#refer(schema.component, pick(schema, placeKeywords));
    if (schema.$id !== undefined) return this.#refer(schema, {});
    return this.#inline(schema);
  }

  /** Adds a schema as a component of that name, with more keywords (`x-kubernetes-group-version-kind`). */
  add(name: string, schema: Schema, extra: JsonObject = {}): void {
    this.#components.set(name, { ...this.#inline(schema), ...extra });
  }

  /** All components so far, sorted by name. */
  components(): Record<string, JsonObject> {
    return Object.fromEntries([...this.#components].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  #refer(component: Schema, own: JsonObject): JsonObject {
    const name = component.$id ?? "";
    if (!this.#components.has(name)) {
      // Entered before its parts are rendered: types may contain themselves.
      this.#components.set(name, {});
      this.#components.set(name, this.#inline(component));
    }
    const reference = { $ref: `${referencePrefix[this.#dialect]}${name}` };
    // OpenAPI 3.0 ignores what stands beside a $ref; Swagger's readers do not know allOf.
    if (this.#dialect === "v2" || Object.keys(own).length === 0) return { ...own, ...reference };
    return { ...own, allOf: [reference] };
  }

  #inline(schema: Schema): JsonObject {
    const { properties, items, additionalProperties } = schema;
    return {
      ...this.#type(schema),
      ...pick(schema, plainKeywords),
      ...(properties && {
        properties: Object.fromEntries(
          Object.entries(properties).map(([name, member]) => [name, this.render(member)]),
        ),
      }),
      ...(items && { items: this.render(items) }),
      ...(additionalProperties !== undefined && {
        additionalProperties:
          typeof additionalProperties === "boolean"
            ? additionalProperties
            : this.render(additionalProperties),
      }),
    };
  }

  #type(schema: Schema): JsonObject {
    const v3 = this.#dialect === "v3";
    if (schema["x-kubernetes-int-or-string"] === true) {
      const format = "int-or-string";
      return v3
        ? {
            oneOf: [{ type: "integer" }, { type: "string" }],
            format,
            "x-kubernetes-int-or-string": true,
          }
        : { type: "string", format };
    }
    if (schema.format === "quantity") {
      return v3 ? { oneOf: [{ type: "string" }, { type: "number" }] } : { type: "string" };
    }
    return pick(schema, ["type", "format"]);
  }
}
