// What `kubectl explain` says of built-in types and fields; by type (`core.Pod`) or field (`core.PodSpec.containers`). Where
// Isobar reads a field, it says what Isobar makes of it.

const metadata: Readonly<Record<string, string>> = {
  "meta.ObjectMeta":
    "What every object has: its name, its labels, and what the API keeps of its life.",
  "meta.ObjectMeta.annotations": "Notes of tools, by key. Nothing selects by them.",
  "meta.ObjectMeta.creationTimestamp": "When the object was created. Set by the API.",
  "meta.ObjectMeta.deletionGracePeriodSeconds":
    "How long the object may take to end, once deleted. Set by the API.",
  "meta.ObjectMeta.deletionTimestamp": "When the object was or will be deleted. Set by the API.",
  "meta.ObjectMeta.finalizers": "Who must let go before the object, once deleted, disappears.",
  "meta.ObjectMeta.generateName":
    "Start of a name that the API completes; used when there is no name.",
  "meta.ObjectMeta.generation": "Counts changes of the spec. Set by the API.",
  "meta.ObjectMeta.labels": "Names and values that selectors choose objects by.",
  "meta.ObjectMeta.managedFields": "Who owns which fields, for server-side apply. Kept by the API.",
  "meta.ObjectMeta.name":
    "The object's name, unique for its kind in its namespace. Cannot be changed.",
  "meta.ObjectMeta.namespace": "The namespace that the object is in. Cannot be changed.",
  "meta.ObjectMeta.ownerReferences":
    "Objects that this one belongs to; it is deleted after the last of them.",
  "meta.ObjectMeta.resourceVersion":
    "Changes with each change of the object. An update that names an old one is refused.",
  "meta.ObjectMeta.selfLink": "Not used any more.",
  "meta.ObjectMeta.uid":
    "Tells the object from every other, earlier ones of the same name included. Set by the API.",
  "meta.LabelSelector":
    "Chooses objects by their labels; all conditions must hold. The empty selector chooses all objects.",
  "meta.LabelSelector.matchExpressions": "Conditions on single labels.",
  "meta.LabelSelector.matchLabels": "Labels that the object must have, with these values.",
  "meta.LabelSelectorRequirement": "A condition on one label.",
  "meta.LabelSelectorRequirement.key": "The label's name.",
  "meta.LabelSelectorRequirement.operator":
    "In, NotIn, Exists or DoesNotExist. An object without the label meets NotIn and DoesNotExist.",
  "meta.LabelSelectorRequirement.values":
    "Values for In and NotIn, at least one; none for the others.",
};

const networkPolicy: Readonly<Record<string, string>> = {
  "networking.NetworkPolicy":
    "Which traffic pods of its namespace may have. A pod that some policy selects for a direction has in that direction only the traffic that a policy allows; replies are always allowed.",
  "networking.NetworkPolicy.spec": "What is wanted.",
  "networking.NetworkPolicySpec.podSelector":
    "The pods, of the policy's namespace, that it applies to; all of them when empty.",
  "networking.NetworkPolicySpec.policyTypes":
    "The directions that it applies to: Ingress, Egress or both. By default Ingress, and Egress when there are egress rules.",
  "networking.NetworkPolicySpec.ingress":
    "What may reach the pods; nothing when empty. What one rule allows is allowed.",
  "networking.NetworkPolicySpec.egress":
    "What the pods may reach; nothing when empty. What one rule allows is allowed.",
  "networking.NetworkPolicyIngressRule.from":
    "Who may reach the pods: any of these; everyone when empty or absent.",
  "networking.NetworkPolicyIngressRule.ports":
    "On which ports of the pods: any of these; all traffic when empty or absent.",
  "networking.NetworkPolicyEgressRule.to":
    "Whom the pods may reach: any of these; everyone when empty or absent.",
  "networking.NetworkPolicyEgressRule.ports":
    "On which ports there: any of these; all traffic when empty or absent.",
  "networking.NetworkPolicyPeer": "Pods by selector, or addresses by range; not both.",
  "networking.NetworkPolicyPeer.podSelector":
    "Pods by their labels: of the policy's namespace, or of those that namespaceSelector chooses.",
  "networking.NetworkPolicyPeer.namespaceSelector":
    "Namespaces by their labels; all their pods, or those that podSelector chooses. kubernetes.io/metadata.name is a namespace's name.",
  "networking.NetworkPolicyPeer.ipBlock": "Addresses by range.",
  "networking.IPBlock.cidr": "The range, e.g. 192.0.2.0/24 or 2001:db8::/64.",
  "networking.IPBlock.except": "Ranges within cidr that do not belong to it.",
  "networking.NetworkPolicyPort.protocol": "TCP, UDP or SCTP; TCP when absent.",
  "networking.NetworkPolicyPort.port":
    "A port's number, or the name that the destination pod gives one of its ports; every port of the protocol when absent.",
  "networking.NetworkPolicyPort.endPort": "With a number in port: all ports from there to here.",
};

const pod: Readonly<Record<string, string>> = {
  "core.Pod": "Containers that share one network namespace, and so one address per family.",
  "core.Pod.spec": "What is wanted. Once created, little of it can be changed.",
  "core.Pod.status": "What has come of it. Written by the node that runs the pod.",
  "core.PodSpec.containers":
    "The pod's containers, at least one. They cannot be added or removed later.",
  "core.PodSpec.initContainers": "Containers that run one after the other before the others start.",
  "core.PodSpec.nodeName": "The node that the pod runs on; set by the scheduler when absent.",
  "core.PodSpec.nodeSelector": "Labels that the node must have.",
  "core.PodSpec.hostNetwork":
    "The pod uses its node's network namespace; policies do not apply to it then.",
  "core.PodSpec.restartPolicy": "Always, OnFailure or Never.",
  "core.PodSpec.terminationGracePeriodSeconds": "How long the pod may take to end, once deleted.",
  "core.PodSpec.volumes": "Directories that the pod's containers can mount.",
  "core.PodSpec.serviceAccountName": "Name of the service account that the pod runs as.",
  "core.PodSpec.dnsPolicy": "Where the pod asks for names.",
  "core.PodSpec.hostname": "The pod's host name; its name when absent.",
  "core.PodSpec.tolerations": "Taints of nodes that the pod puts up with.",
  "core.PodSpec.affinity": "Which nodes and which neighbours the pod prefers or needs.",
  "core.Container.name": "The container's name, unique in the pod.",
  "core.Container.image": "The image that it runs.",
  "core.Container.command": "What it starts, in place of the image's entry point.",
  "core.Container.args": "Arguments for what it starts.",
  "core.Container.env": "Environment variables.",
  "core.Container.ports":
    "Ports that the container listens on. Policies and services may refer to them by name.",
  "core.Container.resources": "How much the container needs, and may have at most.",
  "core.Container.volumeMounts": "Where the pod's volumes appear in the container.",
  "core.Container.livenessProbe": "How to see that the container must be restarted.",
  "core.Container.readinessProbe":
    "How to see that the container can serve; a service uses only ready pods.",
  "core.Container.startupProbe":
    "How to see that the container has started; the other probes wait for it.",
  "core.ContainerPort.containerPort": "The port's number, 1 to 65535.",
  "core.ContainerPort.name":
    "What policies and services call the port; up to 15 signs, unique in the container.",
  "core.ContainerPort.protocol": "TCP, UDP or SCTP; TCP when absent.",
  "core.ContainerPort.hostPort": "A port of the node that leads to this one.",
  "core.PodStatus.phase": "Pending, Running, Succeeded, Failed or Unknown.",
  "core.PodStatus.podIP": "The pod's first address.",
  "core.PodStatus.podIPs": "The pod's addresses, at most one of each family.",
  "core.PodStatus.conditions": "What is true of the pod, with when and why.",
  "core.PodStatus.containerStatuses": "What each container does.",
  "core.PodStatus.hostIP": "The address of the pod's node.",
};

const service: Readonly<Record<string, string>> = {
  "core.Service": "One name and address for several pods.",
  "core.Service.spec": "What is wanted.",
  "core.Service.status": "What has come of it.",
  "core.ServiceSpec.type": "ClusterIP, NodePort, LoadBalancer or ExternalName.",
  "core.ServiceSpec.selector": "Labels of the pods behind the service.",
  "core.ServiceSpec.ports": "The service's ports.",
  "core.ServiceSpec.clusterIP": "The service's address; None for a service without one.",
  "core.ServiceSpec.clusterIPs":
    "The service's addresses, at most one of each family; the first is clusterIP.",
  "core.ServiceSpec.externalName": "The name that an ExternalName service stands for.",
  "core.ServiceSpec.sessionAffinity":
    "ClientIP sends a client always to the same pod; None does not.",
  "core.ServiceSpec.ipFamilies": "IPv4, IPv6 or both.",
  "core.ServicePort.name": "The port's name; required when there are several.",
  "core.ServicePort.port": "The port's number at the service's address.",
  "core.ServicePort.targetPort":
    "The port of the pods: a number, or the name of a container's port.",
  "core.ServicePort.protocol": "TCP, UDP or SCTP; TCP when absent.",
  "core.ServicePort.nodePort": "The port at every node's address, for NodePort and LoadBalancer.",
  "discovery.EndpointSlice":
    "Some of the endpoints behind a service; the label kubernetes.io/service-name names it.",
  "discovery.EndpointSlice.addressType":
    "IPv4, IPv6 or FQDN, for all endpoints of the slice. Cannot be changed.",
  "discovery.EndpointSlice.endpoints": "The endpoints, up to 1000.",
  "discovery.EndpointSlice.ports": "The ports of each endpoint.",
  "discovery.Endpoint.addresses": "The endpoint's address.",
  "discovery.Endpoint.conditions": "Whether it is ready, serving or terminating.",
  "discovery.Endpoint.nodeName": "The node that it is on.",
  "discovery.Endpoint.targetRef": "The pod that it is.",
};

const others: Readonly<Record<string, string>> = {
  "apps.Deployment": "Keeps a number of like pods, and replaces them when their template changes.",
  "apps.Deployment.spec": "What is wanted.",
  "apps.Deployment.status": "What has come of it.",
  "apps.DeploymentSpec.replicas": "How many pods; 1 when absent.",
  "apps.DeploymentSpec.selector":
    "Which pods belong to it; matches the template's labels. Cannot be changed.",
  "apps.DeploymentSpec.template": "The pods to make.",
  "apps.DeploymentSpec.strategy": "How pods are replaced.",
  "apps.DeploymentStrategy.type": "RollingUpdate replaces some at a time, Recreate all at once.",
  "apps.RollingUpdateDeployment.maxSurge": "How many pods more than wanted there may be meanwhile.",
  "apps.RollingUpdateDeployment.maxUnavailable":
    "How many pods fewer than wanted there may be meanwhile.",
  "core.PodTemplateSpec.metadata": "Labels and annotations of the pods.",
  "core.PodTemplateSpec.spec": "The pods' spec.",
  "core.Namespace":
    "A part of the cluster with names of its own. For networking it is a zone: its pods have addresses from its own networks.",
  "core.Namespace.spec": "What is wanted.",
  "core.Namespace.status": "Active, or Terminating while its objects are deleted.",
  "core.Node": "A machine that runs pods.",
  "core.Node.spec": "What is wanted.",
  "core.Node.status": "What the node reports.",
  "core.NodeSpec.unschedulable": "No new pods are placed on the node.",
  "core.NodeSpec.taints": "Keeps pods away that do not tolerate them.",
  "core.NodeStatus.addresses": "The node's addresses; InternalIP is where tunnels to it end.",
  "core.NodeStatus.conditions": "What is true of the node; Ready says whether it takes pods.",
  "core.NodeStatus.nodeInfo": "Names and versions of the node's software.",
  "core.ConfigMap": "Texts and bytes by key.",
  "core.ConfigMap.data": "Texts by key.",
  "core.ConfigMap.binaryData": "Bytes by key, in base64.",
  "core.ConfigMap.immutable": "The data cannot be changed any more.",
  "core.Secret": "Bytes by key that not everyone may see.",
  "core.Secret.data": "Bytes by key, in base64.",
  "core.Secret.stringData": "Texts by key; they become part of data.",
  "core.Secret.type": "What the secret is for.",
  "core.ServiceAccount": "What pods run as.",
  "core.Event": "Something that happened to an object.",
  "core.Event.involvedObject": "What it happened to.",
  "core.Event.reason": "What happened, in one word.",
  "core.Event.message": "What happened, for people.",
  "core.Event.type": "Normal or Warning.",
  "core.Event.count": "How often it happened.",
  "core.Event.firstTimestamp": "When it happened first.",
  "core.Event.lastTimestamp": "When it happened last.",
  "events.Event": "Something that happened to an object.",
  "events.Event.regarding": "What it happened to.",
  "events.Event.reason": "What happened, in one word.",
  "events.Event.note": "What happened, for people.",
  "events.Event.type": "Normal or Warning.",
  "coordination.Lease": "Says who does something that only one may do, for how long.",
  "coordination.Lease.spec": "Who, since when and for how long.",
  "coordination.LeaseSpec.holderIdentity": "Who holds the lease.",
  "coordination.LeaseSpec.leaseDurationSeconds": "How long after renewTime the lease ends.",
  "coordination.LeaseSpec.acquireTime": "When the holder got the lease.",
  "coordination.LeaseSpec.renewTime": "When the holder last renewed it.",
  "coordination.LeaseSpec.leaseTransitions": "How often the holder changed.",
};

/** The same of every kind's object. */
function typeMeta(type: string): Record<string, string> {
  return {
    [`${type}.apiVersion`]: "The API that the object is written for.",
    [`${type}.kind`]: "The object's kind.",
    [`${type}.metadata`]: "Name, labels, and what the API keeps of the object's life.",
  };
}

const objectTypes = [
  "apps.Deployment",
  "coordination.Lease",
  "core.ConfigMap",
  "core.Event",
  "core.Namespace",
  "core.Node",
  "core.Pod",
  "core.Secret",
  "core.Service",
  "core.ServiceAccount",
  "discovery.EndpointSlice",
  "events.Event",
  "networking.NetworkPolicy",
];

export const descriptions: Readonly<Record<string, string>> = Object.assign(
  {},
  ...objectTypes.map(typeMeta),
  metadata,
  networkPolicy,
  pod,
  service,
  others,
);
