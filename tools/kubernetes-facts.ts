// What @kubernetes/client-node does not know of Kubernetes' types: how server-side apply and strategic merge patch treat
// lists and objects, defaults, and which texts are quantities. Facts from the markers in k8s.io/api (`+listType`,
// `+listMapKey`, `patchStrategy`, `patchMergeKey`, `+structType`, `+default`).

/** The types to write, with all that they refer to. */
export const rootTypes: readonly string[] = [
  "CoreV1Event",
  "EventsV1Event",
  "V1ConfigMap",
  "V1Deployment",
  "V1EndpointSlice",
  "V1Lease",
  "V1Namespace",
  "V1NetworkPolicy",
  "V1Node",
  "V1Pod",
  "V1Secret",
  "V1Service",
  "V1ServiceAccount",
];

const groups: Readonly<Record<string, RegExp>> = {
  apps: /^V1(Deployment|RollingUpdateDeployment)/,
  networking: /^V1(NetworkPolicy|IPBlock)/,
  discovery: /^(DiscoveryV1|V1EndpointSlice|V1Endpoint(Conditions|Hints)?$|V1For(Zone|Node)$)/,
  coordination: /^V1Lease/,
  events: /^EventsV1/,
  meta: /^V1(ObjectMeta|OwnerReference|ManagedFieldsEntry|LabelSelector|Condition$)/,
};

/** The package of k8s.io/api that a model is from. */
export function groupOf(model: string): string {
  return Object.entries(groups).find(([, pattern]) => pattern.test(model))?.[0] ?? "core";
}

/** Types whose values are replaced as a whole by server-side apply. */
export const atomicTypes: ReadonlySet<string> = new Set([
  "core.ConfigMapKeySelector",
  "core.FileKeySelector",
  "core.LocalObjectReference",
  "core.NodeSelector",
  "core.NodeSelectorTerm",
  "core.ObjectFieldSelector",
  "core.ObjectReference",
  "core.ResourceFieldSelector",
  "core.SecretKeySelector",
  "core.TypedLocalObjectReference",
  "discovery.EndpointPort",
  "meta.LabelSelector",
  "meta.OwnerReference",
]);

/**
 * By field: `map=` and the keys of a list that is a map, `set` for a list without order, `merge` and `merge=` with the key for
 * lists that a strategic merge patch merges, `retainKeys`, `atomic` for a map replaced as a whole, `default=`.
 */
export const fieldFacts: Readonly<Record<string, string>> = {
  "apps.DeploymentSpec.strategy": "retainKeys",
  "apps.DeploymentStatus.conditions": "map=type merge=type",
  "core.AzureDiskVolumeSource.fsType": "default=ext4",
  "core.Container.env": "map=name merge=name",
  "core.Container.ports": "map=containerPort,protocol merge=containerPort",
  "core.Container.volumeDevices": "map=devicePath merge=devicePath",
  "core.Container.volumeMounts": "map=mountPath merge=mountPath",
  "core.ContainerPort.protocol": "default=TCP",
  "core.ContainerRestartRuleOnExitCodes.values": "set",
  "core.ContainerStatus.allocatedResourcesStatus": "map=name merge=name",
  "core.ContainerStatus.volumeMounts": "map=mountPath merge=mountPath",
  "core.ISCSIVolumeSource.iscsiInterface": "default=default",
  "core.NamespaceStatus.conditions": "map=type merge=type",
  "core.NodeAllocatableResourceClaimStatus.containers": "set",
  "core.NodeSpec.podCIDRs": "set merge",
  "core.NodeStatus.addresses": "map=type merge=type",
  "core.NodeStatus.conditions": "map=type merge=type",
  "core.PodSpec.containers": "map=name merge=name",
  "core.PodSpec.ephemeralContainers": "map=name merge=name",
  "core.PodSpec.hostAliases": "map=ip merge=ip",
  "core.PodSpec.imagePullSecrets": "map=name merge=name",
  "core.PodSpec.initContainers": "map=name merge=name",
  "core.PodSpec.nodeSelector": "atomic",
  "core.PodSpec.resourceClaims": "map=name merge=name retainKeys",
  "core.PodSpec.schedulingGates": "map=name merge=name",
  "core.PodSpec.topologySpreadConstraints": "map=topologyKey,whenUnsatisfiable merge=topologyKey",
  "core.PodSpec.volumes": "map=name merge=name retainKeys",
  "core.PodStatus.conditions": "map=type merge=type",
  "core.PodStatus.hostIPs": "merge=ip",
  "core.PodStatus.nodeAllocatableResourceClaimStatuses":
    "map=resourceClaimName merge=resourceClaimName",
  "core.PodStatus.podIPs": "map=ip merge=ip",
  "core.PodStatus.resourceClaimStatuses": "map=name merge=name retainKeys",
  "core.RBDVolumeSource.keyring": "default=/etc/ceph/keyring",
  "core.RBDVolumeSource.pool": "default=rbd",
  "core.RBDVolumeSource.user": "default=admin",
  "core.ResourceRequirements.claims": "map=name",
  "core.ResourceStatus.resources": "map=resourceID",
  "core.ScaleIOVolumeSource.fsType": "default=xfs",
  "core.ScaleIOVolumeSource.storageMode": "default=ThinProvisioned",
  "core.ServiceAccount.secrets": "map=name merge=name",
  "core.ServicePort.protocol": "default=TCP",
  "core.ServiceSpec.ports": "map=port,protocol merge=port",
  "core.ServiceSpec.selector": "atomic",
  "core.ServiceStatus.conditions": "map=type merge=type",
  "discovery.Endpoint.addresses": "set",
  "meta.ObjectMeta.finalizers": "set merge",
  "meta.ObjectMeta.ownerReferences": "map=uid merge=uid",
};

/** Fields whose texts (or whose entries' texts) are resource quantities. */
export const quantityFields: ReadonlySet<string> = new Set([
  "core.EmptyDirVolumeSource.sizeLimit",
  "core.ResourceFieldSelector.divisor",
  "core.ResourceRequirements.limits",
  "core.ResourceRequirements.requests",
  "core.VolumeResourceRequirements.limits",
  "core.VolumeResourceRequirements.requests",
  "core.ContainerStatus.allocatedResources",
  "core.PodSpec.overhead",
  "core.PodStatus.allocatedResources",
  "core.NodeStatus.capacity",
  "core.NodeStatus.allocatable",
]);
