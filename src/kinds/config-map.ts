// core/v1 ConfigMap.
import type { V1ConfigMap } from "@kubernetes/client-node/dist/gen/models/V1ConfigMap.js";
import { forbidden, invalid, invalidEach, tooLong } from "../apimachinery/field-error.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkConfigKey, lengthBytes } from "../apimachinery/names.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type ConfigMap = ObjectOf<V1ConfigMap>;

/** Of all values of a ConfigMap or Secret together. */
export const maximumDataBytes = 1024 * 1024;

/** What may not change once `immutable` is set: that it is set, and the data. */
export function validateImmutableData<T extends { immutable?: boolean }>(
  object: T,
  old: T | undefined,
  fields: readonly (keyof T & string)[],
): FieldError[] {
  if (old?.immutable !== true) return [];
  const why = "field is immutable when `immutable` is set";
  return [
    ...(object.immutable === true ? [] : [forbidden("immutable", why)]),
    ...fields.flatMap((field) =>
      equalJson(object[field], old[field]) ? [] : [forbidden(field, why)],
    ),
  ];
}

function validate(map: ConfigMap, old?: ConfigMap): FieldError[] {
  const { data = {}, binaryData = {} } = map;
  const errors: FieldError[] = [];
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.push(...invalidEach(`data[${key}]`, key, checkConfigKey(key)));
    if (Object.hasOwn(binaryData, key)) {
      errors.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
    }
    sizeBytes += lengthBytes(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.push(...invalidEach(`binaryData[${key}]`, key, checkConfigKey(key)));
    // Four signs of base64 are three bytes.
    sizeBytes += (value.length / 4) * 3;
  }
  if (sizeBytes > maximumDataBytes) errors.push(tooLong("", maximumDataBytes));
  return [...errors, ...validateImmutableData(map, old, ["data", "binaryData"])];
}

export const configMapKind: KindDefinition<ConfigMap> = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("core.ConfigMap"),
  hasStatus: false,
  columns: [
    nameColumn,
    column("Data", "Number of entries.", ({ data = {}, binaryData = {} }) => {
      const entries = Object.keys(data).length + Object.keys(binaryData).length;
      return String(entries);
    }),
    ageColumn,
  ],
  selectableFields: {},
  validate,
};
