// core/v1 Node.
import type { V1Node } from "@kubernetes/client-node/dist/gen/models/V1Node.js";
import { forbidden, invalid, invalidEach, notSupported } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkLabelValue, checkQualifiedName } from "../apimachinery/names.ts";
import { validateCidr } from "./address.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type Node = ObjectOf<V1Node>;
type Taint = NonNullable<NonNullable<Node["spec"]>["taints"]>[number];

const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const roleLabel = "node-role.kubernetes.io/";

function validateTaint({ key, value = "", effect }: Taint, path: string): FieldError[] {
  return [
    ...invalidEach(`${path}.key`, key, checkQualifiedName(key)),
    ...invalidEach(`${path}.value`, value, checkLabelValue(value)),
    ...(taintEffects.includes(effect)
      ? []
      : [notSupported(`${path}.effect`, effect, taintEffects)]),
  ];
}

function validate({ spec = {} }: Node, old?: Node): FieldError[] {
  const { taints = [], podCIDRs = [], providerID } = spec;
  const errors = taints.flatMap((taint, index) => validateTaint(taint, `spec.taints[${index}]`));
  for (const [index, cidr] of podCIDRs.entries()) {
    errors.push(...validateCidr(cidr, `spec.podCIDRs[${index}]`));
  }
  if (podCIDRs.length > 2) {
    errors.push(
      invalid("spec.podCIDRs", podCIDRs, "may specify no more than one CIDR for each IP family"),
    );
  }
  const oldProvider = old?.spec?.providerID ?? "";
  if (oldProvider !== "" && oldProvider !== providerID) {
    const rule = 'node updates may not change providerID except from "" to valid';
    errors.push(forbidden("spec.providerID", rule));
  }
  return errors;
}

function formatStatus({ spec, status }: Node): string {
  const ready = status?.conditions?.find((condition) => condition.type === "Ready");
  const words = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
  if (spec?.unschedulable === true) words.push("SchedulingDisabled");
  return words.join(",");
}

function formatRoles({ metadata }: Node): string {
  const roles = Object.entries(metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(roleLabel)) return [key.slice(roleLabel.length)];
    return key === "kubernetes.io/role" ? [value] : [];
  });
  return orNone(
    roles
      .filter((role) => role !== "")
      .toSorted()
      .join(","),
  );
}

function addressOfType({ status }: Node, type: string): string {
  return orNone(status?.addresses?.find((address) => address.type === type)?.address);
}

function orUnknown(text: string | undefined): string {
  return text === undefined || text === "" ? "<unknown>" : text;
}

export const nodeKind: KindDefinition<Node> = {
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  categories: [],
  namespaced: false,
  schema: kubernetesSchema("core.Node"),
  hasStatus: true,
  // Whoever registers a node knows its addresses and says so at once.
  initialStatus: (node) => node.status,
  columns: [
    nameColumn,
    column("Status", "Whether the node is ready for pods.", formatStatus),
    column("Roles", "The roles of the node, from its labels.", formatRoles),
    ageColumn,
    column(
      "Version",
      "The version of the node's agent.",
      ({ status }) => status?.nodeInfo?.kubeletVersion ?? "",
    ),
    wideColumn("Internal-IP", "The node's address in its own network.", (node) =>
      addressOfType(node, "InternalIP"),
    ),
    wideColumn("External-IP", "The node's address for the outside.", (node) =>
      addressOfType(node, "ExternalIP"),
    ),
    wideColumn("OS-Image", "The node's operating system.", ({ status }) =>
      orUnknown(status?.nodeInfo?.osImage),
    ),
    wideColumn("Kernel-Version", "The node's kernel.", ({ status }) =>
      orUnknown(status?.nodeInfo?.kernelVersion),
    ),
    wideColumn("Container-Runtime", "What runs the node's pods.", ({ status }) =>
      orUnknown(status?.nodeInfo?.containerRuntimeVersion),
    ),
  ],
  selectableFields: {
    "spec.unschedulable": ({ spec }) => String(spec?.unschedulable ?? false),
  },
  validate,
};
