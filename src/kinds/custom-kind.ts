// What Isobar's own kinds have in common: their group, and objects of `spec` and `status`.
import type { Static, TNever, TSchema } from "typebox";
import type { ObjectMeta } from "../apimachinery/kind.ts";
import type { Schema } from "../apimachinery/schema.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";

export const isobarGroup = { group: "isobar.io", version: "v1alpha1", categories: ["isobar"] };

/** The TypeScript type of an object whose `spec` and `status`, if it has one, have these schemas. */
export interface CustomObject<Spec extends TSchema, Status extends TSchema = TNever> {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: Static<Spec>;
  status?: Static<Status>;
  [field: string]: unknown;
}

interface Parts {
  readonly description: string;
  readonly spec: Schema;
  readonly status?: Schema;
}

/** The schema of a whole object. */
export function customSchema(kind: string, { description, spec, status }: Parts): Schema {
  const { group, version } = isobarGroup;
  return {
    $id: `io.isobar.${version}.${kind}`,
    type: "object",
    description,
    required: ["spec"],
    properties: {
      apiVersion: {
        type: "string",
        description: `The API that the object is written for: ${group}/${version}.`,
      },
      kind: { type: "string", description: `The object's kind: ${kind}.` },
      metadata: kubernetesSchema("meta.ObjectMeta"),
      spec,
      ...(status && { status }),
    },
  };
}
