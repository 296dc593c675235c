// isobar.io/v1alpha1 LoadBalancerPool: addresses for Services of type LoadBalancer and for LoadBalancers.
import { Type } from "typebox";
import { duplicate, invalid, invalidEach } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkQualifiedName } from "../apimachinery/names.ts";
import { formatRange, rangesOverlap, tryParseRange } from "../net/address-range.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "./column.ts";
import { rangeText } from "./crd-constraints.ts";
import { customSchema, isobarGroup, type CustomObject } from "./custom-kind.ts";
import { labelSelectorSchema, validateLabelSelector } from "./label-selector.ts";

const protocols = ["L2", "None"] as const;
const sharings = ["None", "Namespace", "Cluster"] as const;

const specSchema = Type.Object(
  {
    addresses: Type.Array(Type.String({ crd: rangeText }), {
      minItems: 1,
      maxItems: 64,
      description:
        "CIDRs, or ranges such as 192.0.2.10-192.0.2.20, of either address family. Every address of them is given out, the first and the last of a CIDR as well. One that is in several pools is given out once.",
    }),
    autoAssign: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          "false when addresses are given only to those who name the pool or the address.",
      }),
    ),
    loadBalancerClass: Type.Optional(
      Type.String({
        crd: { minLength: 1, maxLength: 316 },
        description:
          "Only for Services of exactly this class. When absent, for those without a class and those of isobar.io/load-balancer. Cannot be another implementation's.",
      }),
    ),
    namespaceSelector: Type.Optional(
      labelSelectorSchema("Only for the namespaces that it matches; all when absent."),
    ),
    serviceSelector: Type.Optional(
      labelSelectorSchema(
        "Only for the Services and LoadBalancers whose labels it matches; all when absent.",
      ),
    ),
    sharing: Type.Optional(
      Type.Enum(sharings, {
        type: "string",
        default: "Namespace",
        description:
          "Among whom one address may be shared, when they ask for it with an equal isobar.io/sharing-key: nobody, those of one namespace, or all.",
      }),
    ),
    announcement: Type.Optional(
      Type.Object(
        {
          protocol: Type.Optional(
            Type.Enum(protocols, {
              type: "string",
              default: "L2",
              description:
                "L2: one node answers ARP and neighbour solicitations for an address. None: the network outside knows by itself where the addresses are.",
            }),
          ),
          nodeSelector: Type.Optional(
            labelSelectorSchema("Only nodes that it matches announce; all when absent."),
          ),
          interfaces: Type.Optional(
            Type.Array(Type.String({ crd: { minLength: 1, maxLength: 15 } }), {
              maxItems: 16,
              description:
                "Names of the nodes' interfaces to announce on; that of the node's own address when absent.",
            }),
          ),
        },
        { description: "How the network outside learns where the addresses are." },
      ),
    ),
  },
  { description: "What is wanted." },
);

const statusSchema = Type.Object(
  {
    used: Type.Optional(Type.Integer({ description: "How many of its addresses are given out." })),
    total: Type.Optional(
      Type.String({ description: "How many addresses it has, as a number; it may be a long one." }),
    ),
    outside: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "Addresses that were given out of it and are not in it any more. They stay with those who have them.",
      }),
    ),
    problem: Type.Optional(
      Type.String({ description: "Why no address is given out of it; absent when some are." }),
    ),
  },
  { description: "What has been given out; the controller's own." },
);

export type LoadBalancerPool = CustomObject<typeof specSchema, typeof statusSchema>;
type Spec = LoadBalancerPool["spec"];

/** Addresses that no host of the outside may have or could be reached under. */
const unusable = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "224.0.0.0/3",
  "::/127",
  "::ffff:0:0/96",
  "fe80::/10",
  "ff00::/8",
].map((text) => ({ text, range: tryParseRange(text) }));

function validateAddresses({ addresses }: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const earlier: {
    readonly text: string;
    readonly range: NonNullable<ReturnType<typeof tryParseRange>>;
  }[] = [];
  for (const [index, text] of addresses.entries()) {
    const path = `spec.addresses[${index}]`;
    const range = tryParseRange(text);
    if (range === undefined) {
      const form = "must be a CIDR or a range, (e.g. 192.0.2.0/28 or 192.0.2.10-192.0.2.20)";
      errors.push(invalid(path, text, form));
      continue;
    }
    const bad = unusable.find(
      (each) => each.range !== undefined && rangesOverlap(each.range, range),
    );
    if (bad !== undefined)
      errors.push(invalid(path, text, `must not have addresses of ${bad.text}`));
    const other = earlier.find((each) => rangesOverlap(each.range, range));
    if (other !== undefined) {
      const same = formatRange(other.range) === formatRange(range);
      errors.push(
        same ? duplicate(path, text) : invalid(path, text, `must not overlap ${other.text}`),
      );
    }
    earlier.push({ text, range });
  }
  return errors;
}

/** IFNAMSIZ of linux/if.h, and what ip(8) takes. */
const interfacePattern = /^[^\s/:]{1,15}$/;

function validate({ spec }: LoadBalancerPool): FieldError[] {
  const { loadBalancerClass, announcement = {} } = spec;
  const selectors = [
    ["spec.namespaceSelector", spec.namespaceSelector],
    ["spec.serviceSelector", spec.serviceSelector],
    ["spec.announcement.nodeSelector", announcement.nodeSelector],
  ] as const;
  return [
    ...validateAddresses(spec),
    ...(loadBalancerClass === undefined
      ? []
      : invalidEach(
          "spec.loadBalancerClass",
          loadBalancerClass,
          checkQualifiedName(loadBalancerClass),
        )),
    ...selectors.flatMap(([path, selector]) =>
      selector === undefined ? [] : validateLabelSelector(selector, path),
    ),
    ...(announcement.interfaces ?? []).flatMap((name, index) =>
      interfacePattern.test(name)
        ? []
        : [
            invalid(
              `spec.announcement.interfaces[${index}]`,
              name,
              "must be the name of an interface, at most 15 signs long",
            ),
          ],
    ),
  ];
}

export const loadBalancerPoolKind: KindDefinition<LoadBalancerPool> = {
  ...isobarGroup,
  kind: "LoadBalancerPool",
  plural: "loadbalancerpools",
  singular: "loadbalancerpool",
  shortNames: ["lbpool"],
  namespaced: false,
  schema: customSchema("LoadBalancerPool", {
    description:
      "Addresses for Services of type LoadBalancer and for LoadBalancers, and how the network outside learns where they are.",
    spec: specSchema,
    status: statusSchema,
  }),
  hasStatus: true,
  columns: [
    nameColumn,
    column(
      "Addresses",
      "CIDRs and ranges.",
      ({ spec }) => spec.addresses.join(","),
      ".spec.addresses",
    ),
    column("Used", "How many are given out.", ({ status }) => status?.used ?? 0, ".status.used"),
    column(
      "Total",
      "How many there are.",
      ({ status }) => status?.total ?? "<unknown>",
      ".status.total",
    ),
    column(
      "Problem",
      "Why none is given out.",
      ({ status }) => status?.problem ?? "",
      ".status.problem",
    ),
    ageColumn,
    wideColumn(
      "Class",
      "Class of the Services that it is for.",
      ({ spec }) => orNone(spec.loadBalancerClass),
      ".spec.loadBalancerClass",
    ),
  ],
  selectableFields: {},
  validate,
};
