// isobar.io/v1alpha1 LoadBalancerAddress: one address that is given out. Its name is the address, so that the API server itself
// lets it be given out only once, whoever asks and whatever has crashed before.
import { Type } from "typebox";
import { invalid, required } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { type Address, formatAddress, tryParseAddress } from "../net/address.ts";
import { validateAddress } from "./address.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "./column.ts";
import { addressText, immutable, nameText } from "./crd-constraints.ts";
import { customSchema, isobarGroup, type CustomObject } from "./custom-kind.ts";

const holderSchema = Type.Object({
  kind: Type.String({ description: "Service, or LoadBalancer.", crd: nameText }),
  namespace: Type.String({ description: "Its namespace.", crd: nameText }),
  name: Type.String({ description: "Its name.", crd: nameText }),
  uid: Type.String({ description: "Tells it from another of the same name.", crd: nameText }),
  ports: Type.Array(Type.String({ crd: nameText }), {
    maxItems: 1000,
    description:
      "What it answers on, such as TCP/80. No two of those who share have one in common.",
  }),
  localTo: Type.Optional(
    Type.String({
      description:
        "Where its external traffic policy is Local: what selects its pods. Those who share such an address must have the same.",
    }),
  ),
});

const specSchema = Type.Object(
  {
    address: Type.String({
      description: "The address. Cannot be changed.",
      crd: { ...addressText, validations: [immutable] },
    }),
    pool: Type.String({
      description: "Name of the pool that it was given out of. Cannot be changed.",
      crd: { ...nameText, validations: [immutable] },
    }),
    sharingKey: Type.Optional(
      Type.String({
        description: "Who brings the same key may have the address as well; nobody when absent.",
        crd: { maxLength: 253 },
      }),
    ),
    holders: Type.Array(holderSchema, {
      maxItems: 64,
      description: "Who has it.",
    }),
  },
  { description: "Who has the address; the controller's own." },
);

const statusSchema = Type.Object(
  {
    node: Type.Optional(
      Type.String({ description: "Name of the node that announces it; absent while none does." }),
    ),
    since: Type.Optional(
      Type.String({ format: "date-time", description: "Since when that node does." }),
    ),
    message: Type.Optional(
      Type.String({ description: "Why no node announces it; absent when one does." }),
    ),
  },
  { description: "Who announces it." },
);

export type LoadBalancerAddress = CustomObject<typeof specSchema, typeof statusSchema>;
export type AddressHolder = LoadBalancerAddress["spec"]["holders"][number];

/** The name of an address's object: IPv6 with all its groups, as names have no colons. */
export function nameOfAddress(address: Address): string {
  if (address.family === 4) return formatAddress(address);
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((address.bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  return groups.join("-");
}

function validate(
  { metadata, spec }: LoadBalancerAddress,
  old?: LoadBalancerAddress,
): FieldError[] {
  const errors = validateAddress(spec.address, "spec.address");
  const address = tryParseAddress(spec.address);
  if (address !== undefined && formatAddress(address) !== spec.address) {
    const form = `must be in canonical form ("${formatAddress(address)}")`;
    errors.push(invalid("spec.address", spec.address, form));
  } else if (address !== undefined && metadata.name !== nameOfAddress(address)) {
    const rule = `must be the address's ("${nameOfAddress(address)}")`;
    errors.push(invalid("metadata.name", metadata.name, rule));
  }
  if (spec.pool === "") errors.push(required("spec.pool"));
  for (const field of ["address", "pool"] as const) {
    if (old === undefined || old.spec[field] === spec[field]) continue;
    errors.push(invalid(`spec.${field}`, spec[field], "field is immutable"));
  }
  return errors;
}

function formatHolders({ spec }: LoadBalancerAddress): string {
  return orNone(spec.holders.map(({ namespace, name }) => `${namespace}/${name}`).join(","));
}

export const loadBalancerAddressKind: KindDefinition<LoadBalancerAddress> = {
  ...isobarGroup,
  kind: "LoadBalancerAddress",
  plural: "loadbalanceraddresses",
  singular: "loadbalanceraddress",
  shortNames: ["lbaddr"],
  namespaced: false,
  schema: customSchema("LoadBalancerAddress", {
    description:
      "One address out of a LoadBalancerPool that is given out, and the node that announces it. Made and removed by the controller.",
    spec: specSchema,
    status: statusSchema,
  }),
  hasStatus: true,
  columns: [
    nameColumn,
    column("Pool", "The pool that it is from.", ({ spec }) => spec.pool, ".spec.pool"),
    column("Holders", "Who has it.", formatHolders, ".spec.holders[*].name"),
    column("Node", "Who announces it.", ({ status }) => orNone(status?.node), ".status.node"),
    column("Since", "Since when.", ({ status }) => orNone(status?.since), ".status.since"),
    ageColumn,
    wideColumn(
      "Sharing",
      "The key by which it is shared.",
      ({ spec }) => orNone(spec.sharingKey),
      ".spec.sharingKey",
    ),
    wideColumn(
      "Message",
      "Why no node announces it.",
      ({ status }) => status?.message ?? "",
      ".status.message",
    ),
  ],
  selectableFields: { "spec.pool": ({ spec }) => spec.pool },
  validate,
};
