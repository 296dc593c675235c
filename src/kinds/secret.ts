// core/v1 Secret. Isobar keeps secrets because ordinary manifests have them; nothing in it reads them.
import type { V1Secret } from "@kubernetes/client-node/dist/gen/models/V1Secret.js";
import { invalid, invalidEach, tooLong } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkConfigKey } from "../apimachinery/names.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { maximumDataBytes, validateImmutableData } from "./config-map.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type Secret = ObjectOf<V1Secret>;

function encodeBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCodePoint(byte)).join(""));
}

/** `stringData` is for writing only: it moves into `data`. */
function applyDefaults(secret: Secret): Secret {
  secret.type ??= "Opaque";
  const { stringData } = secret;
  if (stringData === undefined) return secret;
  const entries = Object.entries(stringData).map(([key, value]) => [key, encodeBase64(value)]);
  secret.data = { ...secret.data, ...Object.fromEntries(entries) };
  delete secret.stringData;
  return secret;
}

function validate(secret: Secret, old?: Secret): FieldError[] {
  const entries = Object.entries(secret.data ?? {});
  const errors = entries.flatMap(([key]) => invalidEach(`data[${key}]`, key, checkConfigKey(key)));
  const sizeBytes = entries.reduce((sum, [, value]) => sum + (value.length / 4) * 3, 0);
  if (sizeBytes > maximumDataBytes) errors.push(tooLong("data", maximumDataBytes));
  if (old !== undefined && old.type !== secret.type) {
    errors.push(invalid("type", secret.type, "field is immutable"));
  }
  return [...errors, ...validateImmutableData(secret, old, ["data"])];
}

export const secretKind: KindDefinition<Secret> = {
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("core.Secret"),
  hasStatus: false,
  columns: [
    nameColumn,
    column("Type", "What the secret is for.", ({ type = "" }) => type),
    column("Data", "Number of entries.", ({ data = {} }) => String(Object.keys(data).length)),
    ageColumn,
  ],
  selectableFields: {
    type: ({ type = "" }) => type,
  },
  applyDefaults,
  validate,
};
