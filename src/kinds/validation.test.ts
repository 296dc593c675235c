import assert from "node:assert/strict";
import { test } from "node:test";
import { applyMergePatch } from "../apimachinery/merge-patch.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { applyDefaults, decodeObject, validateObject } from "../apimachinery/object.ts";
import { configMapKind } from "./config-map.ts";
import { deploymentKind } from "./deployment.ts";
import { domainKind } from "./domain.ts";
import { endpointKind } from "./endpoint.ts";
import { endpointSliceKind } from "./endpoint-slice.ts";
import { eventKind, eventsEventKind } from "./event.ts";
import { leaseKind } from "./lease.ts";
import { namespaceKind } from "./namespace.ts";
import { networkKind } from "./network.ts";
import { nodeKind } from "./node.ts";
import { podKind } from "./pod.ts";
import { secretKind } from "./secret.ts";
import { serviceAccountKind } from "./service-account.ts";
import { serviceKind } from "./service.ts";

const pod = { spec: { containers: [{ name: "web", image: "nginx" }] } };
const deployment = {
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, ...pod },
  },
};
const service = { spec: { ports: [{ port: 80 }] } };
const domain = { spec: { vni: 100, pools: ["10.0.0.0/8"] } };
const network = { spec: { domain: "default", cidrs: ["10.0.0.0/24"] } };
const endpoint = {
  spec: {
    domain: "default",
    network: "n",
    addresses: ["10.0.0.2"],
    mac: "0a:00:00:00:00:02",
    attachment: { kind: "Pod", name: "web" },
  },
};
const slice = { addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.2"] }] };

/** A valid object with a merge patch applied, as a client would send it. */
function objectOf(kind: KindDefinition, base: object, patch: unknown): KubeObject {
  const metadata = { name: "web", ...(kind.namespaced && { namespace: "shop" }) };
  const body = applyMergePatch({ metadata, ...base }, patch);
  return applyDefaults(kind, decodeObject(kind, body, "Strict").object);
}

function print(errors: readonly { field: string; message: string }[]): string[] {
  return errors.map(({ field, message }) => `${field}: ${message}`);
}

const container = (patch: object) => ({
  spec: { containers: [{ name: "web", image: "nginx", ...patch }] },
});
const rules = {
  port: "must be between 1 and 65535, inclusive",
  negative: "must be greater than or equal to 0",
  immutable: "field is immutable",
  cidr: "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
  address: "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
  label:
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
};

type Case = readonly [string, KindDefinition, object, unknown, readonly string[]];

const onlyBalanced = "may only be used when `type` is 'LoadBalancer'";
const serviceCases: readonly Case[] = [
  [
    "a node port of a ClusterIP",
    serviceKind,
    service,
    { spec: { ports: [{ port: 80, nodePort: 30080 }] } },
    ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ],
  [
    "a node port twice",
    serviceKind,
    service,
    {
      spec: {
        type: "NodePort",
        ports: [
          { name: "a", port: 80, nodePort: 30080 },
          { name: "b", port: 81, nodePort: 30080 },
        ],
      },
    },
    ["spec.ports[1].nodePort: Duplicate value: 30080"],
  ],
  [
    "fields of a load balancer",
    serviceKind,
    service,
    {
      spec: {
        allocateLoadBalancerNodePorts: true,
        loadBalancerClass: "example.com/x",
        loadBalancerSourceRanges: ["10.0.0.0/8"],
        healthCheckNodePort: 30000,
        externalTrafficPolicy: "Local",
      },
    },
    [
      `spec.loadBalancerSourceRanges: Forbidden: ${onlyBalanced}`,
      `spec.allocateLoadBalancerNodePorts: Forbidden: ${onlyBalanced}`,
      `spec.loadBalancerClass: Forbidden: ${onlyBalanced}`,
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
  ],
  [
    "the kubelet's port on a load balancer",
    serviceKind,
    service,
    { spec: { type: "LoadBalancer", ports: [{ port: 10250 }] } },
    [
      "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet",
    ],
  ],
  [
    "external addresses that lead nowhere",
    serviceKind,
    service,
    { spec: { externalIPs: ["127.0.0.1", "0.0.0.0", "fe80::1"] } },
    [
      'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'spec.externalIPs[1]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0 or ::)',
      'spec.externalIPs[2]: Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
    ],
  ],
  [
    "an affinity of two days",
    serviceKind,
    service,
    {
      spec: {
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 172_800 } },
      },
    },
    [
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 172800: must be greater than 0 and less than 86400",
    ],
  ],
  [
    "an unknown distribution",
    serviceKind,
    service,
    { spec: { trafficDistribution: "PreferFar" } },
    [
      'spec.trafficDistribution: Unsupported value: "PreferFar": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    ],
  ],
  [
    "an ExternalName with addresses",
    serviceKind,
    service,
    {
      spec: {
        type: "ExternalName",
        externalName: "example.org.",
        clusterIPs: ["10.96.0.1"],
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
      },
    },
    [
      "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
      "spec.ipFamilies: Forbidden: may not be set for ExternalName services",
      "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
    ],
  ],
  [
    "families that do not fit the addresses",
    serviceKind,
    service,
    { spec: { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"], ipFamilies: ["IPv6", "IPv6"] } },
    [
      'spec.ipFamilies[1]: Duplicate value: "IPv6"',
      'spec.clusterIPs[0]: Invalid value: "10.96.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ],
  ],
];

const creations: readonly Case[] = [
  [
    "a pod without containers",
    podKind,
    pod,
    { spec: { containers: [] } },
    ["spec.containers: Required value"],
  ],
  ["a pod without spec", podKind, {}, {}, ["spec.containers: Required value"]],
  [
    "a container without name",
    podKind,
    pod,
    { spec: { containers: [{ image: "x" }] } },
    ["spec.containers[0].name: Required value"],
  ],
  [
    "a container with a bad name",
    podKind,
    pod,
    container({ name: "Web" }),
    [`spec.containers[0].name: Invalid value: "Web": ${rules.label}`],
  ],
  [
    "a container without image",
    podKind,
    pod,
    container({ image: "" }),
    ["spec.containers[0].image: Required value"],
  ],
  [
    "two containers of a name",
    podKind,
    pod,
    {
      spec: {
        containers: [
          { name: "a", image: "x" },
          { name: "a", image: "y" },
        ],
      },
    },
    ['spec.containers[1].name: Duplicate value: "a"'],
  ],
  [
    "an init container of a container's name",
    podKind,
    pod,
    { spec: { initContainers: [{ name: "web", image: "x" }] } },
    ['spec.initContainers[0].name: Duplicate value: "web"'],
  ],
  [
    "container port 0",
    podKind,
    pod,
    container({ ports: [{ containerPort: 0 }] }),
    ["spec.containers[0].ports[0].containerPort: Required value"],
  ],
  [
    "container port 70000",
    podKind,
    pod,
    container({ ports: [{ containerPort: 70_000 }] }),
    [`spec.containers[0].ports[0].containerPort: Invalid value: 70000: ${rules.port}`],
  ],
  [
    "a long port name",
    podKind,
    pod,
    container({ ports: [{ containerPort: 80, name: "abcdefghijklmnop" }] }),
    [
      'spec.containers[0].ports[0].name: Invalid value: "abcdefghijklmnop": must be no more than 15 characters',
    ],
  ],
  [
    "two ports of a name",
    podKind,
    pod,
    container({
      ports: [
        { containerPort: 80, name: "web" },
        { containerPort: 81, name: "web" },
      ],
    }),
    ['spec.containers[0].ports[1].name: Duplicate value: "web"'],
  ],
  [
    "an unknown protocol",
    podKind,
    pod,
    container({ ports: [{ containerPort: 80, protocol: "ICMP" }] }),
    [
      'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    ],
  ],
  [
    "an unknown pull policy",
    podKind,
    pod,
    container({ imagePullPolicy: "Often" }),
    [
      'spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',
    ],
  ],
  [
    "a mount of no volume",
    podKind,
    pod,
    container({ volumeMounts: [{ name: "data", mountPath: "/data" }] }),
    ['spec.containers[0].volumeMounts[0].name: Not found: "data"'],
  ],
  [
    "two mounts at a path",
    podKind,
    pod,
    {
      spec: {
        volumes: [{ name: "v" }],
        ...container({
          volumeMounts: [
            { name: "v", mountPath: "/a" },
            { name: "v", mountPath: "/a" },
          ],
        }).spec,
      },
    },
    ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'],
  ],
  [
    "a variable with value and source",
    podKind,
    pod,
    container({
      env: [{ name: "A", value: "b", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
    }),
    [
      'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ],
  ],
  [
    "a probe without handler",
    podKind,
    pod,
    container({ livenessProbe: {} }),
    ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
  ],
  [
    "a probe with two handlers",
    podKind,
    pod,
    container({ readinessProbe: { exec: { command: ["true"] }, tcpSocket: { port: 80 } } }),
    [
      "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ],
  ],
  [
    "a request above its limit",
    podKind,
    pod,
    container({ resources: { limits: { cpu: "500m" }, requests: { cpu: 1 } } }),
    [
      'spec.containers[0].resources.requests: Invalid value: "1": must be less than or equal to cpu limit of 500m',
    ],
  ],
  [
    "a quantity that is none",
    podKind,
    pod,
    container({ resources: { limits: { cpu: "a lot" } } }),
    [
      "spec.containers[0].resources.limits.cpu: Invalid value: \"a lot\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
      "spec.containers[0].resources.requests.cpu: Invalid value: \"a lot\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ],
  [
    "an unknown restart policy",
    podKind,
    pod,
    { spec: { restartPolicy: "Sometimes" } },
    [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ],
  ],
  [
    "two volumes of a name",
    podKind,
    pod,
    { spec: { volumes: [{ name: "v" }, { name: "v" }] } },
    ['spec.volumes[1].name: Duplicate value: "v"'],
  ],
  [
    "a volume of two types",
    podKind,
    pod,
    { spec: { volumes: [{ name: "v", emptyDir: {}, hostPath: { path: "/" } }] } },
    ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
  ],
  [
    "a host alias that is no address",
    podKind,
    pod,
    { spec: { hostAliases: [{ ip: "here", hostnames: ["a"] }] } },
    [`spec.hostAliases[0].ip: Invalid value: "here": ${rules.address}`],
  ],
  [
    "a deployment without spec",
    deploymentKind,
    {},
    {},
    ["spec.selector: Required value", "spec.template: Required value"],
  ],
  [
    "a deployment without selector",
    deploymentKind,
    deployment,
    { spec: { selector: null } },
    ["spec.selector: Required value"],
  ],
  [
    "an empty selector",
    deploymentKind,
    deployment,
    { spec: { selector: { matchLabels: null } } },
    ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
  ],
  [
    "a selector that does not match",
    deploymentKind,
    deployment,
    { spec: { template: { metadata: { labels: { app: "api" } } } } },
    [
      'spec.template.metadata.labels: Invalid value: {"app":"api"}: `selector` does not match template `labels`',
    ],
  ],
  [
    "a template that is no pod",
    deploymentKind,
    deployment,
    { spec: { template: container({ image: "" }) } },
    ["spec.template.spec.containers[0].image: Required value"],
  ],
  [
    "a template that ends",
    deploymentKind,
    deployment,
    { spec: { template: { spec: { restartPolicy: "Never" } } } },
    ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ],
  [
    "negative replicas",
    deploymentKind,
    deployment,
    { spec: { replicas: -1 } },
    [`spec.replicas: Invalid value: -1: ${rules.negative}`],
  ],
  [
    "Recreate with parameters",
    deploymentKind,
    deployment,
    { spec: { strategy: { type: "Recreate", rollingUpdate: {} } } },
    [
      "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ],
  ],
  [
    "a rolling update that cannot move",
    deploymentKind,
    deployment,
    { spec: { strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } } },
    [
      "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ],
  ],
  [
    "a service without ports",
    serviceKind,
    service,
    { spec: { ports: [] } },
    ["spec.ports: Required value"],
  ],
  [
    "two ports without names",
    serviceKind,
    service,
    { spec: { ports: [{ port: 80 }, { port: 81 }] } },
    ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
  ],
  [
    "a port twice",
    serviceKind,
    service,
    {
      spec: {
        ports: [
          { name: "a", port: 80 },
          { name: "b", port: 80 },
        ],
      },
    },
    ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}'],
  ],
  [
    "service port 0",
    serviceKind,
    service,
    { spec: { ports: [{ port: 0, targetPort: 80 }] } },
    [`spec.ports[0].port: Invalid value: 0: ${rules.port}`],
  ],
  [
    "an unknown type",
    serviceKind,
    service,
    { spec: { type: "Public" } },
    [
      'spec.type: Unsupported value: "Public": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
  ],
  [
    "a headless NodePort",
    serviceKind,
    service,
    { spec: { type: "NodePort", clusterIP: "None" } },
    ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
  ],
  [
    "a cluster address that is none",
    serviceKind,
    service,
    { spec: { clusterIP: "10.0.0" } },
    [`spec.clusterIPs[0]: Invalid value: "10.0.0": ${rules.address}`],
  ],
  [
    "an ExternalName without name",
    serviceKind,
    service,
    { spec: { type: "ExternalName" } },
    ["spec.externalName: Required value"],
  ],
  [
    "a service named 1web",
    serviceKind,
    service,
    { metadata: { name: "1web" } },
    [
      "metadata.name: Invalid value: \"1web\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ],
  ],
  [
    "a namespace with a dot",
    namespaceKind,
    {},
    { metadata: { name: "a.b" } },
    ['metadata.name: Invalid value: "a.b": must not contain dots'],
  ],
  [
    "a namespace in a namespace",
    namespaceKind,
    {},
    { metadata: { namespace: "shop" } },
    ["metadata.namespace: Forbidden: not allowed on this type"],
  ],
  [
    "a config key with a slash",
    configMapKind,
    {},
    { data: { "a/b": "" } },
    [
      "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    ],
  ],
  [
    "a config key in both maps",
    configMapKind,
    {},
    { data: { a: "" }, binaryData: { a: "" } },
    ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
  ],
  [
    "a config map above a mebibyte",
    configMapKind,
    {},
    { data: { a: "x".repeat(1024 * 1024 + 1) } },
    [": Too long: may not be more than 1048576 bytes"],
  ],
  [
    "a secret that is no base64",
    secretKind,
    {},
    { data: { a: "!" } },
    ['data.a: Invalid value: "!": must be base64 (RFC 4648 section 4)'],
  ],
  [
    "a taint without effect",
    nodeKind,
    {},
    { spec: { taints: [{ key: "a", effect: "" }] } },
    [
      'spec.taints[0].effect: Unsupported value: "": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
  [
    "a lease of no time",
    leaseKind,
    {},
    { spec: { leaseDurationSeconds: 0 } },
    ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
  ],
  [
    "a lease with a bad time",
    leaseKind,
    {},
    { spec: { renewTime: "now" } },
    [
      'spec.renewTime: Invalid value: "now": must be a date and time of the form 2006-01-02T15:04:05Z (RFC 3339)',
    ],
  ],
  [
    "an event of another namespace",
    eventKind,
    {},
    { involvedObject: { namespace: "other" } },
    ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
  ],
  [
    "an event that says nothing",
    eventsEventKind,
    {},
    { eventTime: "2026-01-01T00:00:00Z", regarding: { namespace: "shop" } },
    [
      "reportingController: Required value",
      "reportingInstance: Required value",
      "reason: Required value",
      "action: Required value",
      'type: Invalid value: "": has invalid value',
    ],
  ],
  [
    "a slice of no type",
    endpointSliceKind,
    slice,
    { addressType: null },
    ["addressType: Required value"],
  ],
  [
    "a slice of the other family",
    endpointSliceKind,
    slice,
    { endpoints: [{ addresses: ["2001:db8::1"] }] },
    ['endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address'],
  ],
  [
    "an endpoint without address",
    endpointSliceKind,
    slice,
    { endpoints: [{ addresses: [] }] },
    ["endpoints[0].addresses: Required value: must contain at least 1 address"],
  ],
  [
    "an endpoint that leads nowhere",
    endpointSliceKind,
    slice,
    { endpoints: [{ addresses: ["127.0.0.1"] }] },
    [
      'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
  ],
  [
    "two slice ports of a name",
    endpointSliceKind,
    slice,
    { ports: [{ port: 80 }, { port: 81 }] },
    ['ports[1].name: Duplicate value: ""'],
  ],
  [
    "VNI 0",
    domainKind,
    domain,
    { spec: { vni: 0 } },
    ["spec.vni: Invalid value: 0: must be between 1 and 16777215, inclusive"],
  ],
  [
    "VNI 2^24",
    domainKind,
    domain,
    { spec: { vni: 2 ** 24 } },
    ["spec.vni: Invalid value: 16777216: must be between 1 and 16777215, inclusive"],
  ],
  [
    "a domain without pools",
    domainKind,
    domain,
    { spec: { pools: [] } },
    ["spec.pools: Invalid value: 0: spec.pools in body should have at least 1 items"],
  ],
  [
    "pools that overlap",
    domainKind,
    domain,
    { spec: { pools: ["10.0.0.0/8", "10.1.0.0/16"] } },
    ['spec.pools[1]: Invalid value: "10.1.0.0/16": must not overlap pool 10.0.0.0/8'],
  ],
  [
    "a pool twice",
    domainKind,
    domain,
    { spec: { pools: ["10.0.0.0/8", "10.0.0.0/8"] } },
    ['spec.pools[1]: Duplicate value: "10.0.0.0/8"'],
  ],
  [
    "a pool with host bits",
    domainKind,
    domain,
    { spec: { pools: ["10.0.0.1/8"] } },
    ['spec.pools[0]: Invalid value: "10.0.0.1/8": must be in canonical form ("10.0.0.0/8")'],
  ],
  [
    "networks larger than a pool",
    domainKind,
    domain,
    { spec: { pools: ["10.0.0.0/25"] } },
    [
      "spec.networkPrefixLength.ipv4: Invalid value: 24: must be at least 25, for networks are cut from pool 10.0.0.0/25",
    ],
  ],
  [
    "networks of one address",
    domainKind,
    domain,
    { spec: { networkPrefixLength: { ipv4: 31 } } },
    ["spec.networkPrefixLength.ipv4: Invalid value: 31: must be between 8 and 30, inclusive"],
  ],
  [
    "exceptions of masquerading that are no networks, or there twice",
    domainKind,
    domain,
    { spec: { masquerade: { except: ["192.0.2.1/24", "nowhere", "192.0.2.0/24"] } } },
    [
      'spec.masquerade.except[0]: Invalid value: "192.0.2.1/24": must be in canonical form ("192.0.2.0/24")',
      'spec.masquerade.except[1]: Invalid value: "nowhere": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      'spec.masquerade.except[2]: Duplicate value: "192.0.2.0/24"',
    ],
  ],
  [
    "a network of two ranges of a family",
    networkKind,
    network,
    { spec: { cidrs: ["10.0.0.0/24", "10.0.1.0/24"] } },
    ['spec.cidrs[1]: Duplicate value: "10.0.1.0/24"'],
  ],
  [
    "a network without domain",
    networkKind,
    network,
    { spec: { domain: "" } },
    ["spec.domain: Required value"],
  ],
  [
    "an address in long form",
    endpointKind,
    endpoint,
    { spec: { addresses: ["2001:db8:0::2"] } },
    [
      'spec.addresses[0]: Invalid value: "2001:db8:0::2": must be in canonical form ("2001:db8::2")',
    ],
  ],
  [
    "a multicast MAC",
    endpointKind,
    endpoint,
    { spec: { mac: "01:00:00:00:00:02" } },
    [
      'spec.mac: Invalid value: "01:00:00:00:00:02": must be a unicast MAC address in lower case, (e.g. 0a:00:00:00:00:01)',
    ],
  ],
  ...serviceCases,
  [
    "cluster addresses that differ",
    serviceKind,
    service,
    { spec: { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.2"] } },
    ['spec.clusterIPs: Invalid value: ["10.96.0.2"]: first value must match `clusterIP`'],
  ],
  [
    "two cluster addresses of a family",
    serviceKind,
    service,
    { spec: { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1", "10.96.0.2"] } },
    [
      'spec.clusterIPs: Invalid value: ["10.96.0.1","10.96.0.2"]: may specify no more than one IP for each IP family',
    ],
  ],
  [
    "an IPv4-mapped address",
    endpointKind,
    endpoint,
    { spec: { addresses: ["::ffff:a00:2"] } },
    ['spec.addresses[0]: Invalid value: "::ffff:a00:2": must not be an IPv4-mapped IPv6 address'],
  ],
];

for (const [name, kind, base, patch, expected] of creations) {
  test(`${kind.kind}: ${name} is refused`, () => {
    assert.deepEqual(print(validateObject(kind, objectOf(kind, base, patch))), expected);
  });
}

const podUpdate =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const immutableSet = "field is immutable when `immutable` is set";

const updates: readonly (readonly [...Case, object?])[] = [
  ["another image", podKind, pod, container({ image: "nginx:2", imagePullPolicy: "Always" }), []],
  ["a node, once", podKind, pod, { spec: { nodeName: "node-1" } }, []],
  [
    "another node",
    podKind,
    pod,
    { spec: { nodeName: "node-2" } },
    [`spec: Forbidden: ${podUpdate}`],
    { spec: { nodeName: "node-1" } },
  ],
  [
    "another port",
    podKind,
    pod,
    container({ ports: [{ containerPort: 80 }] }),
    [`spec: Forbidden: ${podUpdate}`],
  ],
  ["one more toleration", podKind, pod, { spec: { tolerations: [{ operator: "Exists" }] } }, []],
  ["labels", podKind, pod, { metadata: { labels: { tier: "front" } } }, []],
  [
    "another name",
    podKind,
    pod,
    { metadata: { name: "api" } },
    [`metadata.name: Invalid value: "api": ${rules.immutable}`],
  ],
  [
    "another selector",
    deploymentKind,
    deployment,
    {
      spec: {
        selector: { matchLabels: { app: "web", x: "y" } },
        template: { metadata: { labels: { x: "y" } } },
      },
    },
    [`spec.selector: Invalid value: {"matchLabels":{"app":"web","x":"y"}}: ${rules.immutable}`],
  ],
  [
    "another cluster address",
    serviceKind,
    service,
    { spec: { clusterIP: "10.96.0.2", clusterIPs: ["10.96.0.2"] } },
    ['spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set'],
    { spec: { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] } },
  ],
  [
    "data of an immutable map",
    configMapKind,
    { immutable: true, data: { a: "b" } },
    { data: { a: "c" } },
    [`data: Forbidden: ${immutableSet}`],
  ],
  [
    "a map that no longer is immutable",
    configMapKind,
    { immutable: true },
    { immutable: null },
    [`immutable: Forbidden: ${immutableSet}`],
  ],
  [
    "another type of secret",
    secretKind,
    { type: "a" },
    { type: "b" },
    [`type: Invalid value: "b": ${rules.immutable}`],
  ],
  [
    "another type of addresses",
    endpointSliceKind,
    { addressType: "FQDN" },
    { addressType: "IPv6" },
    [`addressType: Invalid value: "IPv6": ${rules.immutable}`],
  ],
  [
    "another VNI",
    domainKind,
    domain,
    { spec: { vni: 7 } },
    [`spec.vni: Invalid value: 7: ${rules.immutable}`],
  ],
  ["one more pool", domainKind, domain, { spec: { pools: ["10.0.0.0/8", "2001:db8::/32"] } }, []],
  [
    "one pool less",
    domainKind,
    domain,
    { spec: { pools: ["11.0.0.0/8"] } },
    ["spec.pools: Forbidden: pools cannot be removed: 10.0.0.0/8"],
  ],
  [
    "other ranges",
    networkKind,
    network,
    { spec: { cidrs: ["10.0.1.0/24"] } },
    [`spec.cidrs: Invalid value: ["10.0.1.0/24"]: ${rules.immutable}`],
  ],
  [
    "another address",
    endpointKind,
    endpoint,
    { spec: { addresses: ["10.0.0.3"] } },
    [`spec.addresses: Invalid value: ["10.0.0.3"]: ${rules.immutable}`],
  ],
  ["a node of an endpoint", endpointKind, endpoint, { spec: { node: "node-1" } }, []],
  [
    "a provider",
    nodeKind,
    {},
    { spec: { providerID: "b" } },
    ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'],
    { spec: { providerID: "a" } },
  ],
  ["secrets of an account", serviceAccountKind, {}, { secrets: [{ name: "a" }] }, []],
];

for (const [name, kind, base, patch, expected, before = {}] of updates) {
  const verdict = expected.length === 0 ? "accepted" : "refused";
  test(`${kind.kind}: an update to ${name} is ${verdict}`, () => {
    const old = objectOf(kind, base, before);
    assert.deepEqual(print(validateObject(kind, objectOf(kind, base, patch), old)), expected);
  });
}
