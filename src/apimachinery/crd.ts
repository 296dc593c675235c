// A kind as a CustomResourceDefinition (apiextensions.k8s.io/v1): how a cluster's own API server gets to know it.
import type { JsonObject } from "./json.ts";
import type { KindDefinition } from "./kind.ts";
import type { Schema } from "./schema.ts";

/** Keywords that a structural schema may have, in the order in which they are written. */
const keywords = [
  "description",
  "type",
  "format",
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
  "x-kubernetes-int-or-string",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
] as const satisfies readonly (keyof Schema)[];

/** A structural schema: nested, without references. */
function structuralSchema(schema: Schema): JsonObject {
  const { properties, items, additionalProperties, crd = {} } = schema;
  const { validations, ...constraints } = crd;
  const all: Schema = { ...schema, ...constraints };
  const present = keywords.filter((keyword) => all[keyword] !== undefined);
  return {
    ...Object.fromEntries(present.map((keyword) => [keyword, all[keyword]])),
    ...(properties && { properties: structuralProperties(properties) }),
    ...(items && { items: structuralSchema(items) }),
    ...(typeof additionalProperties === "object" && {
      additionalProperties: structuralSchema(additionalProperties),
    }),
    ...(validations && { "x-kubernetes-validations": validations.map((each) => ({ ...each })) }),
  };
}

function structuralProperties(properties: Readonly<Record<string, Schema>>): JsonObject {
  const entries = Object.entries(properties);
  return Object.fromEntries(entries.map(([name, member]) => [name, structuralSchema(member)]));
}

/** The whole object: of `metadata` a CRD may say nothing. */
function objectSchema({ schema }: KindDefinition): JsonObject {
  const { properties = {}, ...rest } = schema;
  const { metadata: _server, ...members } = properties;
  const own = structuralProperties(members);
  const { apiVersion, kind, ...parts } = own;
  return {
    ...structuralSchema(rest),
    properties: { apiVersion, kind, metadata: { type: "object" }, ...parts },
  };
}

/** kubectl shows the name by itself. */
function printerColumns({ columns }: KindDefinition): JsonObject[] {
  return columns
    .filter(({ format }) => format !== "name")
    .map(({ name, type, description, priority, jsonPath }) => {
      if (jsonPath === undefined) throw new TypeError(`the column ${name} has no JSON path`);
      const isTime = jsonPath.endsWith("Timestamp");
      const wide = priority === 0 ? {} : { priority };
      return { name, type: isTime ? "date" : type, description, ...wide, jsonPath };
    });
}

/**
 * Accepted by Kubernetes 1.16 and later. Servers before 1.25 drop `x-kubernetes-validations`, those before 1.31
 * `selectableFields`. @throws {TypeError} for a kind with a column that has no JSON path
 */
export function renderCrd(kind: KindDefinition): JsonObject {
  const { group, version, plural, singular, shortNames, categories, namespaced } = kind;
  const selectable = Object.keys(kind.selectableFields);
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? "Namespaced" : "Cluster",
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular,
        shortNames: [...shortNames],
        categories: [...categories],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          ...(kind.hasStatus && { subresources: { status: {} } }),
          additionalPrinterColumns: printerColumns(kind),
          ...(selectable.length > 0 && {
            selectableFields: selectable.map((field) => ({ jsonPath: `.${field}` })),
          }),
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  };
}
