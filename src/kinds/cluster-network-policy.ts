// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, with the fields of upstream's experimental channel. Facts:
// network-policy-api v0.2.0, apis/v1alpha2/clusternetworkpolicy_types.go; the sentences are our own.
import { type Static, Type } from "typebox";
import { duplicate, forbidden, invalid } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition, ObjectMeta } from "../apimachinery/kind.ts";
import type { Schema } from "../apimachinery/schema.ts";
import type { LabelSelectorObject } from "../apimachinery/selector.ts";
import { tryParsePrefix, validateCidr } from "./address.ts";
import { ageColumn, column, nameColumn, wideColumn } from "./column.ts";
import { conditionsSchema, typed } from "./conditions-schema.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import { validateLabelSelector } from "./label-selector.ts";

const group = "policy.networking.k8s.io";
const version = "v1alpha2";

/** Rules of a direction, peers of a rule, protocols of a rule, networks or names of a peer: at most so many. */
const maxItems = 25;

/** Exactly one field is set. */
const oneOf = { minProperties: 1, maxProperties: 1 } as const;

function selector(description: string): Schema & Type.TUnsafe<LabelSelectorObject> {
  const component = kubernetesSchema("meta.LabelSelector");
  return typed<LabelSelectorObject>({
    component,
    type: "object",
    properties: component.properties ?? {},
    "x-kubernetes-map-type": "atomic",
    description,
  });
}

function namespacedPods(description: string) {
  return Type.Object(
    {
      namespaceSelector: Type.Optional(
        selector("Namespaces by their labels; all of them when empty or absent."),
      ),
      podSelector: selector("Pods by their labels; all of the namespaces' pods when empty."),
    },
    { description },
  );
}

/** A selector of pods, as subjects and peers have it. */
const podFields = {
  namespaces: Type.Optional(
    selector(
      "Every pod of the namespaces that have these labels; not those on the node's network.",
    ),
  ),
  pods: Type.Optional(
    namespacedPods(
      "Pods by their namespaces' and their own labels; not those on the node's network.",
    ),
  ),
};

const portNumber = { format: "int32", minimum: 1, maximum: 65_535 } as const;

function portMatch(protocol: string) {
  const range = Type.Object(
    {
      start: Type.Integer({ ...portNumber, description: "First port." }),
      end: Type.Integer({ ...portNumber, description: "Last port, above the first." }),
    },
    {
      description: "Ports from the first to the last, both included.",
      "x-kubernetes-validations": [
        { rule: "self.start < self.end", message: "Start port must be less than End port" },
      ],
    },
  );
  const port = Type.Object(
    {
      number: Type.Optional(Type.Integer({ ...portNumber, description: "One port." })),
      range: Type.Optional(range),
    },
    { ...oneOf, description: "A port or a range of ports." },
  );
  return Type.Object(
    { destinationPort: Type.Optional(port) },
    { minProperties: 1, description: `A part of ${protocol}.` },
  );
}

const protocol = Type.Object(
  {
    tcp: Type.Optional(portMatch("TCP")),
    udp: Type.Optional(portMatch("UDP")),
    sctp: Type.Optional(portMatch("SCTP")),
    destinationNamedPort: Type.Optional(
      Type.String({
        description:
          "The port that the destination pod calls by this name, in the protocol that it declares for it. Not beside nodes, networks or domainNames.",
      }),
    ),
  },
  { ...oneOf, description: "What of the traffic is meant." },
);

const ruleFields = {
  name: Type.Optional(Type.String({ maxLength: 100, description: "For people, in explanations." })),
  action: Type.Enum(["Accept", "Deny", "Pass"], {
    type: "string",
    description:
      "Accept admits and Deny drops, both finally; Pass leaves it to the next tier, without a look at the rest of this one.",
  }),
  protocols: Type.Optional(
    Type.Array(protocol, {
      minItems: 1,
      maxItems,
      description: "What traffic is meant, one of them must match; all of it when absent.",
    }),
  ),
};
const ruleDescription = "Which traffic, and what becomes of it.";

const domainNamePattern =
  "^(\\*\\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$";

const ingressPeer = Type.Object(podFields, { ...oneOf, description: "Where traffic comes from." });
const egressPeer = Type.Object(
  {
    ...podFields,
    nodes: Type.Optional(
      selector("The addresses in the status of the nodes that have these labels."),
    ),
    networks: Type.Optional(
      Type.Array(
        Type.String({
          maxLength: 43,
          "x-kubernetes-validations": [
            { rule: "isCIDR(self)", message: "Invalid CIDR format provided" },
          ],
        }),
        {
          minItems: 1,
          maxItems,
          "x-kubernetes-list-type": "set",
          description: "CIDRs; what is in the cluster and has such an address is meant as well.",
        },
      ),
    ),
    domainNames: Type.Optional(
      Type.Array(Type.String({ pattern: domainNamePattern }), {
        minItems: 1,
        maxItems,
        "x-kubernetes-list-type": "set",
        description:
          "Addresses that the pod has looked up under these names. A leading `*.` stands for one or more labels. Only in rules that accept.",
      }),
    ),
  },
  { ...oneOf, description: "Where traffic goes to." },
);

const namedPortsMessage =
  "networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames";

const ingressRule = Type.Object(
  {
    ...ruleFields,
    from: Type.Array(ingressPeer, {
      minItems: 1,
      maxItems,
      description: "Sources; one of them must match.",
    }),
  },
  { description: ruleDescription },
);

const egressRule = Type.Object(
  {
    ...ruleFields,
    to: Type.Array(egressPeer, {
      minItems: 1,
      maxItems,
      description: "Destinations; one of them must match.",
    }),
  },
  {
    description: ruleDescription,
    "x-kubernetes-validations": [
      {
        rule: "!(self.to.exists(peer, has(peer.networks) || has(peer.nodes) || has(peer.domainNames)) && has(self.protocols) && self.protocols.exists(protocol, has(protocol.destinationNamedPort)))",
        message: namedPortsMessage,
      },
    ],
  },
);

const specSchema = Type.Object(
  {
    tier: Type.Enum(["Admin", "Baseline"], {
      type: "string",
      description:
        "Admin is asked before all NetworkPolicies and cannot be overridden by them; Baseline only about pods that no NetworkPolicy isolates.",
    }),
    priority: Type.Integer({
      format: "int32",
      minimum: 0,
      maximum: 1000,
      description:
        "0 to 1000; the lowest of a tier is asked first. Of equal ones the first by name, and their conditions say so.",
    }),
    subject: Type.Object(podFields, {
      ...oneOf,
      description: "The pods that the policy is for; never those on the node's network.",
    }),
    ingress: Type.Optional(
      Type.Array(ingressRule, {
        maxItems,
        description: "For traffic to the subject, the first that matches counts.",
      }),
    ),
    egress: Type.Optional(
      Type.Array(egressRule, {
        maxItems,
        description: "For traffic from the subject, the first that matches counts.",
      }),
    ),
  },
  { description: "What is wanted." },
);

const statusSchema = Type.Object(
  { conditions: conditionsSchema },
  { description: "What has come of it." },
);

const schema: Schema = {
  $id: "io.k8s.networking.policy.v1alpha2.ClusterNetworkPolicy",
  type: "object",
  description:
    "Rules of the cluster's administrators, before or after all NetworkPolicies of the namespaces.",
  required: ["spec"],
  properties: {
    apiVersion: { type: "string", description: `Always ${group}/${version}.` },
    kind: { type: "string", description: "Always ClusterNetworkPolicy." },
    metadata: kubernetesSchema("meta.ObjectMeta"),
    spec: specSchema,
    status: statusSchema,
  },
};

export interface ClusterNetworkPolicy {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: Static<typeof specSchema>;
  status?: Static<typeof statusSchema>;
  [field: string]: unknown;
}

type Spec = ClusterNetworkPolicy["spec"];
type PodFields = Spec["subject"];
type EgressRule = NonNullable<Spec["egress"]>[number];
type EgressPeer = Static<typeof egressPeer>;
type Protocol = Static<typeof protocol>;

function validatePods({ namespaces, pods }: PodFields, path: string): FieldError[] {
  return [
    ...(namespaces ? validateLabelSelector(namespaces, `${path}.namespaces`) : []),
    ...(pods?.namespaceSelector
      ? validateLabelSelector(pods.namespaceSelector, `${path}.pods.namespaceSelector`)
      : []),
    ...(pods ? validateLabelSelector(pods.podSelector, `${path}.pods.podSelector`) : []),
  ];
}

/** Lists of type `set`. */
function validateUnique(items: readonly string[] = [], path: string): FieldError[] {
  return items.flatMap((item, index) =>
    items.indexOf(item) < index ? [duplicate(`${path}[${index}]`, item)] : [],
  );
}

function validateNetworks(networks: readonly string[] = [], path: string): FieldError[] {
  return networks.flatMap((text, index) =>
    tryParsePrefix(text) === undefined || validateCidr(text, path).length > 0
      ? [invalid(`${path}[${index}]`, text, "Invalid CIDR format provided")]
      : [],
  );
}

function validateEgressPeer(peer: EgressPeer, path: string): FieldError[] {
  return [
    ...validatePods(peer, path),
    ...(peer.nodes ? validateLabelSelector(peer.nodes, `${path}.nodes`) : []),
    ...validateUnique(peer.networks, `${path}.networks`),
    ...validateNetworks(peer.networks, `${path}.networks`),
    ...validateUnique(peer.domainNames, `${path}.domainNames`),
  ];
}

function validateProtocols(protocols: readonly Protocol[] = [], path: string): FieldError[] {
  return protocols.flatMap((each, index) =>
    (["tcp", "udp", "sctp"] as const).flatMap((name) => {
      const range = each[name]?.destinationPort?.range;
      if (range === undefined || range.start < range.end) return [];
      const field = `${path}[${index}].${name}.destinationPort.range`;
      return [invalid(field, "object", "Start port must be less than End port")];
    }),
  );
}

/** Upstream's schema lets it pass, and its documentation says that it is not supported. */
function validateNames({ action, to }: EgressRule, path: string): FieldError[] {
  if (action === "Accept") return [];
  const rule = "domainNames are only supported in rules that Accept";
  return to.flatMap(({ domainNames }, index) =>
    domainNames === undefined ? [] : [forbidden(`${path}.to[${index}].domainNames`, rule)],
  );
}

function validateEgressRule(rule: EgressRule, path: string): FieldError[] {
  const { to, protocols } = rule;
  const named = protocols?.some((each) => each.destinationNamedPort !== undefined) ?? false;
  const portless = to.some(
    ({ networks, nodes, domainNames }) => (networks ?? nodes ?? domainNames) !== undefined,
  );
  return [
    ...(named && portless ? [invalid(path, "object", namedPortsMessage)] : []),
    ...to.flatMap((peer, index) => validateEgressPeer(peer, `${path}.to[${index}]`)),
    ...validateNames(rule, path),
    ...validateProtocols(protocols, `${path}.protocols`),
  ];
}

function validateSpec({ subject, ingress = [], egress = [] }: Spec): FieldError[] {
  return [
    ...validatePods(subject, "spec.subject"),
    ...ingress.flatMap(({ from, protocols }, index) => {
      const path = `spec.ingress[${index}]`;
      return [
        ...from.flatMap((peer, each) => validatePods(peer, `${path}.from[${each}]`)),
        ...validateProtocols(protocols, `${path}.protocols`),
      ];
    }),
    ...egress.flatMap((each, index) => validateEgressRule(each, `spec.egress[${index}]`)),
  ];
}

/** As the object has it, whatever its reader thinks of it: a condition's status, or nothing. */
function conditionStatus({ status }: ClusterNetworkPolicy, type: string): string {
  return status?.conditions.find((condition) => condition.type === type)?.status ?? "";
}

export const clusterNetworkPolicyKind: KindDefinition<ClusterNetworkPolicy> = {
  group,
  version,
  kind: "ClusterNetworkPolicy",
  plural: "clusternetworkpolicies",
  singular: "clusternetworkpolicy",
  shortNames: ["cnp"],
  categories: [],
  namespaced: false,
  schema,
  hasStatus: true,
  columns: [
    nameColumn,
    column("Tier", "The tier that the policy belongs to.", ({ spec }) => spec.tier, ".spec.tier"),
    column(
      "Priority",
      "Its place in the tier.",
      ({ spec }) => String(spec.priority),
      ".spec.priority",
    ),
    ageColumn,
    wideColumn(
      "Accepted",
      "Whether all of it is understood.",
      (policy: ClusterNetworkPolicy) => conditionStatus(policy, "Accepted"),
      '.status.conditions[?(@.type=="Accepted")].status',
    ),
    wideColumn(
      "Realised",
      "Whether it is in force on every node that has a subject of it.",
      (policy: ClusterNetworkPolicy) => conditionStatus(policy, "Realised"),
      '.status.conditions[?(@.type=="Realised")].status',
    ),
  ],
  selectableFields: {},
  validate: ({ spec }) => validateSpec(spec),
};
