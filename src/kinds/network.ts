// isobar.io/v1alpha1 Network: a part of a domain's pools that one namespace's endpoints have their addresses from.
import { Type } from "typebox";
import { duplicate, invalid, required } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { equalJson } from "../apimachinery/json.ts";
import { formatPrefix } from "../net/address.ts";
import { tryParsePrefix, validateCidr } from "./address.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { cidrText, immutable, nameText, oneOfEachFamily } from "./crd-constraints.ts";
import { customSchema, isobarGroup, type CustomObject } from "./custom-kind.ts";

const specSchema = Type.Object(
  {
    domain: Type.String({
      description: "Name of the domain that the network belongs to. Cannot be changed.",
      crd: { ...nameText, validations: [immutable] },
    }),
    cidrs: Type.Array(Type.String({ crd: cidrText }), {
      crd: { validations: [immutable, oneOfEachFamily] },
      minItems: 1,
      maxItems: 2,
      description:
        "The network's CIDRs, at most one of each address family, out of the domain's pools. Cannot be changed.",
    }),
  },
  { description: "What is wanted." },
);

const statusSchema = Type.Object(
  {
    capacity: Type.Optional(
      Type.Integer({ description: "How many endpoints the network has addresses for." }),
    ),
    used: Type.Optional(Type.Integer({ description: "How many of its places are taken." })),
    free: Type.Optional(
      Type.Integer({ description: "How many of its places are not taken; some of them may rest." }),
    ),
    allocated: Type.Optional(
      Type.String({
        description:
          "The places that are taken, counted from the network's first address, such as 1-20,25. The controller writes them down before an endpoint gets its addresses.",
      }),
    ),
    resting: Type.Optional(
      Type.Array(
        Type.Object({
          offsets: Type.String({ description: "Places, such as 21-24." }),
          until: Type.String({ format: "date-time", description: "When their rest ends." }),
        }),
        { description: "Places that were given back and are not given out before a time." },
      ),
    ),
    emptySince: Type.Optional(
      Type.String({
        format: "date-time",
        description:
          "Since when no place is taken; the controller removes a network that stays empty.",
      }),
    ),
  },
  { description: "Who has what of it; the controller's own." },
);

export type Network = CustomObject<typeof specSchema, typeof statusSchema>;

/** On networks that the controller made, and takes away again. */
export const managedByLabel = "app.kubernetes.io/managed-by";
export const managedByIsobar = "isobar";

function count(number: number | undefined): string {
  return number === undefined ? "<unknown>" : String(number);
}

function validateCidrs(cidrs: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const families = new Set<number>();
  for (const [index, text] of cidrs.entries()) {
    const path = `spec.cidrs[${index}]`;
    errors.push(...validateCidr(text, path));
    const prefix = tryParsePrefix(text);
    if (prefix === undefined) continue;
    if (formatPrefix(prefix) !== text) {
      errors.push(invalid(path, text, `must be in canonical form ("${formatPrefix(prefix)}")`));
    }
    if (families.has(prefix.family)) errors.push(duplicate(path, text));
    families.add(prefix.family);
  }
  return errors;
}

function validate({ spec }: Network, old?: Network): FieldError[] {
  const errors = validateCidrs(spec.cidrs);
  if (spec.domain === "") errors.push(required("spec.domain"));
  if (old !== undefined) {
    for (const field of ["domain", "cidrs"] as const) {
      if (equalJson(spec[field], old.spec[field])) continue;
      errors.push(invalid(`spec.${field}`, spec[field], "field is immutable"));
    }
  }
  return errors;
}

export const networkKind: KindDefinition<Network> = {
  ...isobarGroup,
  kind: "Network",
  plural: "networks",
  singular: "network",
  shortNames: ["inet"],
  namespaced: true,
  schema: customSchema("Network", {
    description:
      "A part of a domain's pools. The endpoints of the network's namespace have their addresses from it, whichever node they are on. The controller adds networks to a namespace as they fill.",
    spec: specSchema,
    status: statusSchema,
  }),
  hasStatus: true,
  columns: [
    nameColumn,
    column("Domain", "The domain that it belongs to.", ({ spec }) => spec.domain, ".spec.domain"),
    column(
      "CIDRs",
      "The network's address ranges.",
      ({ spec }) => spec.cidrs.join(","),
      ".spec.cidrs",
    ),
    column(
      "Used",
      "How many of its places are taken.",
      ({ status }) => count(status?.used),
      ".status.used",
    ),
    column("Free", "How many are not.", ({ status }) => count(status?.free), ".status.free"),
    ageColumn,
  ],
  selectableFields: { "spec.domain": ({ spec }) => spec.domain },
  validate,
};
