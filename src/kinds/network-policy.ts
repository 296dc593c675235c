// networking.k8s.io/v1 NetworkPolicy. Validation: k8s.io/kubernetes/pkg/apis/networking/validation.
import type { V1NetworkPolicy } from "@kubernetes/client-node/dist/gen/models/V1NetworkPolicy.js";
import {
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkPortName, checkPortNumber } from "../apimachinery/names.ts";
import { formatLabelSelector } from "../apimachinery/selector.ts";
import { prefixContains } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { tryParsePrefix, validateCidr } from "./address.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import { validateLabelSelector } from "./label-selector.ts";
import type { ObjectOf } from "./object-type.ts";

export type NetworkPolicy = ObjectOf<V1NetworkPolicy>;
type NetworkPolicySpec = NonNullable<NetworkPolicy["spec"]>;
type IngressRule = NonNullable<NetworkPolicySpec["ingress"]>[number];
type NetworkPolicyPeer = NonNullable<IngressRule["from"]>[number];
type NetworkPolicyPort = NonNullable<IngressRule["ports"]>[number];
type IpBlock = NonNullable<NetworkPolicyPeer["ipBlock"]>;

const protocols = Object.keys(protocolNumbers);
const policyTypes = ["Ingress", "Egress"];

function validateEndPort({ port, endPort }: NetworkPolicyPort, path: string): FieldError[] {
  if (endPort === undefined) return [];
  const field = `${path}.endPort`;
  if (port === undefined) {
    return [invalid(field, endPort, "may not be specified when `port` is not specified")];
  }
  if (typeof port === "string") {
    return [invalid(field, endPort, "may not be specified when `port` is non-numeric")];
  }
  const order =
    endPort < port ? [invalid(field, endPort, "must be greater than or equal to `port`")] : [];
  return [...order, ...invalidEach(field, endPort, checkPortNumber(endPort))];
}

function validatePort(entry: NetworkPolicyPort, path: string): FieldError[] {
  const { protocol, port } = entry;
  const errors: FieldError[] = [];
  if (protocol !== undefined && !protocols.includes(protocol)) {
    errors.push(notSupported(`${path}.protocol`, protocol, protocols));
  }
  if (port !== undefined) {
    const messages = typeof port === "number" ? checkPortNumber(port) : checkPortName(port);
    errors.push(...invalidEach(`${path}.port`, port, messages));
  }
  return [...errors, ...validateEndPort(entry, path)];
}

function validateIpBlock({ cidr, except = [] }: IpBlock, path: string): FieldError[] {
  if (!cidr) return [required(`${path}.cidr`)];
  const errors = validateCidr(cidr, `${path}.cidr`);
  const whole = tryParsePrefix(cidr);
  if (whole === undefined) return errors;
  for (const [index, text] of except.entries()) {
    const field = `${path}.except[${index}]`;
    errors.push(...validateCidr(text, field));
    const part = tryParsePrefix(text);
    if (part === undefined) continue;
    if (!prefixContains(whole, part) || part.length <= whole.length) {
      errors.push(invalid(field, text, "must be a strict subset of `cidr`"));
    }
  }
  return errors;
}

function validatePeer(peer: NetworkPolicyPeer, path: string): FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const errors: FieldError[] = [];
  if (podSelector) errors.push(...validateLabelSelector(podSelector, `${path}.podSelector`));
  if (namespaceSelector) {
    errors.push(...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`));
  }
  if (ipBlock) errors.push(...validateIpBlock(ipBlock, `${path}.ipBlock`));
  const selects = podSelector !== undefined || namespaceSelector !== undefined;
  if (!selects && !ipBlock) errors.push(required(path, "must specify a peer"));
  if (selects && ipBlock) {
    errors.push(forbidden(path, "may not specify both ipBlock and another peer"));
  }
  return errors;
}

function validateRule(
  ports: readonly NetworkPolicyPort[] = [],
  peers: readonly NetworkPolicyPeer[] = [],
  path: { readonly rule: string; readonly peers: string },
): FieldError[] {
  return [
    ...ports.flatMap((port, index) => validatePort(port, `${path.rule}.ports[${index}]`)),
    ...peers.flatMap((peer, index) => validatePeer(peer, `${path.peers}[${index}]`)),
  ];
}

function validatePolicyTypes(types: readonly string[]): FieldError[] {
  const path = "spec.policyTypes";
  if (types.length > policyTypes.length) {
    return [invalid(path, types, "may not specify more than two policyTypes")];
  }
  return types.flatMap((type, index) =>
    policyTypes.includes(type) ? [] : [notSupported(`${path}[${index}]`, type, policyTypes)],
  );
}

function validateSpec(spec: Partial<NetworkPolicySpec>): FieldError[] {
  const { podSelector = {}, ingress = [], egress = [] } = spec;
  return [
    ...validateLabelSelector(podSelector, "spec.podSelector"),
    ...ingress.flatMap(({ ports, from }, index) => {
      const rule = `spec.ingress[${index}]`;
      return validateRule(ports, from, { rule, peers: `${rule}.from` });
    }),
    ...egress.flatMap(({ ports, to }, index) => {
      const rule = `spec.egress[${index}]`;
      return validateRule(ports, to, { rule, peers: `${rule}.to` });
    }),
    ...validatePolicyTypes(spec.policyTypes ?? []),
  ];
}

/** Ingress is always meant, egress when the policy has egress rules; a list that is given is left alone. */
function defaultPolicyTypes(spec: NetworkPolicySpec): string[] {
  return (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

function applyDefaults(policy: NetworkPolicy): NetworkPolicy {
  const spec: NetworkPolicySpec = { ...policy.spec };
  spec.podSelector ??= {};
  if ((spec.policyTypes ?? []).length === 0) spec.policyTypes = defaultPolicyTypes(spec);
  for (const { ports } of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
    for (const port of ports ?? []) port.protocol ??= "TCP";
  }
  policy.spec = spec;
  return policy;
}

export const networkPolicyKind: KindDefinition<NetworkPolicy> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  singular: "networkpolicy",
  shortNames: ["netpol"],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("networking.NetworkPolicy"),
  hasStatus: false,
  columns: [
    nameColumn,
    column("Pod-Selector", "The pods that the policy applies to.", (policy) =>
      formatLabelSelector(policy.spec?.podSelector),
    ),
    ageColumn,
  ],
  selectableFields: {},
  applyDefaults,
  validate: (policy) => validateSpec(policy.spec ?? {}),
};
