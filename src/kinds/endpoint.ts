// isobar.io/v1alpha1 Endpoint: one attachment to a network. Of a pod it has the pod's name and namespace.
import { Type } from "typebox";
import { duplicate, invalid, required } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { equalJson } from "../apimachinery/json.ts";
import { formatAddress, tryParseAddress } from "../net/address.ts";
import { validateAddress } from "./address.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "./column.ts";
import { addressText, immutable, nameText, oneOfEachFamily } from "./crd-constraints.ts";
import { customSchema, isobarGroup, type CustomObject } from "./custom-kind.ts";

const phases = ["Pending", "Ready", "Failed", "Kept"] as const;

/** A unicast address in lower case, as OVSDB and Open vSwitch write it. */
const macPattern = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/;

const addressesStay = {
  rule: "oldSelf.size() == 0 || self == oldSelf",
  message: "field is immutable once there are addresses",
};

const macStays = {
  rule: "oldSelf.addresses.size() == 0 || self.mac == oldSelf.mac",
  message: "mac is immutable once there are addresses",
};

const specSchema = Type.Object(
  {
    domain: Type.String({
      description: "Name of its domain. Cannot be changed.",
      crd: { ...nameText, validations: [immutable] },
    }),
    network: Type.Optional(
      Type.String({
        description:
          "Name of the network, in the same namespace, that its addresses are from; absent where an external IPAM gives them.",
        crd: { ...nameText, validations: [immutable] },
      }),
    ),
    node: Type.Optional(Type.String({ description: "Name of the node it is attached to." })),
    addresses: Type.Array(Type.String({ crd: addressText }), {
      maxItems: 2,
      crd: { validations: [addressesStay, oneOfEachFamily] },
      description:
        "Its addresses, at most one of each family. Cannot be changed once there are some.",
    }),
    mac: Type.String({
      description: "Its MAC address. Cannot be changed once there are addresses.",
      crd: { pattern: macPattern.source, maxLength: 17 },
    }),
    attachment: Type.Object(
      {
        kind: Type.String({
          description: "What is attached, e.g. Pod.",
          crd: { ...nameText, validations: [immutable] },
        }),
        name: Type.String({
          description: "The attached object's name.",
          crd: { ...nameText, validations: [immutable] },
        }),
        uid: Type.Optional(
          Type.String({
            description:
              "Tells it from another of the same name. Changes when an endpoint that was kept goes to the next of its name.",
          }),
        ),
      },
      { description: "What the endpoint is for. Its kind and name cannot be changed." },
    ),
    keep: Type.Optional(
      Type.Object(
        {
          seconds: Type.Optional(
            Type.Integer({ minimum: 1, description: "For how long after the pod has gone." }),
          ),
        },
        {
          description:
            "Set where the endpoint outlives its pod, so that the next pod of its name has the same addresses: for a time, or without one for as long as its owner exists.",
        },
      ),
    ),
  },
  { description: "What is wanted.", crd: { validations: [macStays] } },
);

const statusSchema = Type.Object(
  {
    phase: Type.Optional(
      Type.Enum(phases, {
        type: "string",
        description:
          "Ready once the node enforces its policies and its port is open; Kept while it waits for the next pod of its name.",
      }),
    ),
    node: Type.Optional(Type.String({ description: "The node that reports." })),
    port: Type.Optional(Type.Integer({ description: "OpenFlow port number on the node." })),
    message: Type.Optional(Type.String({ description: "Why it is not ready, for people." })),
    keptUntil: Type.Optional(
      Type.String({
        format: "date-time",
        description: "When an endpoint that is kept for a time is given up.",
      }),
    ),
  },
  { description: "What has come of it." },
);

export type Endpoint = CustomObject<typeof specSchema, typeof statusSchema>;
type Spec = Endpoint["spec"];

function validateAddresses(addresses: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const families = new Set<number>();
  for (const [index, text] of addresses.entries()) {
    const path = `spec.addresses[${index}]`;
    errors.push(...validateAddress(text, path));
    const address = tryParseAddress(text);
    if (address === undefined) continue;
    if (formatAddress(address) !== text) {
      errors.push(invalid(path, text, `must be in canonical form ("${formatAddress(address)}")`));
    }
    if (families.has(address.family)) errors.push(duplicate(path, text));
    families.add(address.family);
  }
  return errors;
}

function validateSpec(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["domain", "network"] as const) {
    if (spec[field] === "") errors.push(required(`spec.${field}`));
  }
  for (const field of ["kind", "name"] as const) {
    if (spec.attachment[field] === "") errors.push(required(`spec.attachment.${field}`));
  }
  errors.push(...validateAddresses(spec.addresses));
  if (!macPattern.test(spec.mac)) {
    const form = "must be a unicast MAC address in lower case, (e.g. 0a:00:00:00:00:01)";
    errors.push(invalid("spec.mac", spec.mac, form));
  }
  return errors;
}

function validateUpdate(spec: Spec, old: Spec): FieldError[] {
  const fields = old.addresses.length > 0 ? (["addresses", "mac"] as const) : [];
  const errors = (["domain", "network", ...fields] as const)
    .filter((field) => !equalJson(spec[field], old[field]))
    .map((field) => invalid(`spec.${field}`, spec[field], "field is immutable"));
  for (const field of ["kind", "name"] as const) {
    if (spec.attachment[field] === old.attachment[field]) continue;
    const path = `spec.attachment.${field}`;
    errors.push(invalid(path, spec.attachment[field], "field is immutable"));
  }
  return errors;
}

export const endpointKind: KindDefinition<Endpoint> = {
  ...isobarGroup,
  kind: "Endpoint",
  plural: "endpoints",
  singular: "endpoint",
  shortNames: ["iep"],
  namespaced: true,
  schema: customSchema("Endpoint", {
    description:
      "One attachment to a network: a pod, a virtual machine, a host or a VLAN behind a gateway, with its addresses and its place.",
    spec: specSchema,
    status: statusSchema,
  }),
  hasStatus: true,
  columns: [
    nameColumn,
    column(
      "Network",
      "The network that its addresses are from.",
      ({ spec }) => orNone(spec.network),
      ".spec.network",
    ),
    column(
      "Addresses",
      "Its addresses.",
      ({ spec }) => orNone(spec.addresses.join(",")),
      ".spec.addresses",
    ),
    column("Node", "The node it is attached to.", ({ spec }) => orNone(spec.node), ".spec.node"),
    column(
      "Status",
      "Whether its traffic flows.",
      ({ status }) => status?.phase ?? "<unknown>",
      ".status.phase",
    ),
    ageColumn,
    wideColumn("Domain", "Its domain.", ({ spec }) => spec.domain, ".spec.domain"),
    wideColumn("MAC", "Its MAC address.", ({ spec }) => spec.mac, ".spec.mac"),
    wideColumn(
      "Attachment",
      "What is attached.",
      ({ spec }) => {
        return `${spec.attachment.kind.toLowerCase()}/${spec.attachment.name}`;
      },
      ".spec.attachment.name",
    ),
  ],
  selectableFields: {
    "spec.domain": ({ spec }) => spec.domain,
    "spec.network": ({ spec }) => spec.network ?? "",
    "spec.node": ({ spec }) => spec.node ?? "",
    "status.phase": ({ status }) => status?.phase ?? "",
  },
  validate: ({ spec }, old) => [
    ...validateSpec(spec),
    ...(old === undefined ? [] : validateUpdate(spec, old.spec)),
  ],
};
