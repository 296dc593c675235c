// Kubernetes' own tests of Services (test/e2e/network of kubernetes/kubernetes), each with what has become of it here. Those
// with a `shown` are run by test/lab/service-conformance.test.ts, which fails if one of them has no test.

export interface ServiceCase {
  /** The case's name upstream. */
  readonly upstream: string;
  /** `packets`: shown on real packets; `elsewhere`: by the test that is named; `none`: not, for the reason given. */
  readonly result: "packets" | "elsewhere" | "none";
  /** Of a case that is not among the packets: where, or why not. */
  readonly note?: string;
}

function packets(...names: readonly string[]): ServiceCase[] {
  return names.map((upstream) => ({ upstream, result: "packets" }));
}

function elsewhere(note: string, ...names: readonly string[]): ServiceCase[] {
  return names.map((upstream) => ({ upstream, result: "elsewhere", note }));
}

function none(note: string, ...names: readonly string[]): ServiceCase[] {
  return names.map((upstream) => ({ upstream, result: "none", note }));
}

/** test/e2e/network/service.go */
const services: readonly ServiceCase[] = [
  ...packets(
    "should provide secure master service",
    "should serve a basic endpoint from pods",
    "should serve multiport endpoints from pods",
    "should be updated after adding or deleting ports",
    "should preserve source pod IP for traffic thru service cluster IP",
    "should allow pods to hairpin back to themselves through services",
    "should be able to up and down services",
    "should work after the service has been recreated",
    "should be able to create a functioning NodePort service",
    "should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node",
    "should be able to change the type from ExternalName to ClusterIP",
    "should be able to change the type from ExternalName to NodePort",
    "should be able to change the type from ClusterIP to ExternalName",
    "should be able to change the type from NodePort to ExternalName",
    "should create endpoints for unready pods",
    "should have session affinity work for service with type clusterIP",
    "should be able to switch session affinity for service with type clusterIP",
    "should have session affinity timeout work for service with type clusterIP",
    "should have session affinity work for NodePort service",
    "should implement service.kubernetes.io/service-proxy-name",
    "should implement service.kubernetes.io/headless",
    "should be rejected when no endpoints exist",
    "should be rejected for evicted pods (no endpoints exist)",
    "should respect internalTrafficPolicy=Local Pod to Pod",
    "should respect internalTrafficPolicy=Local Pod (hostNetwork: true) to Pod",
    "should respect internalTrafficPolicy=Local Pod and Node, to Pod (hostNetwork: true)",
    "should support externalTrafficPolicy=Local for type=NodePort",
    "should fail health check node port if there are only terminating endpoints",
    "should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster",
    "should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local",
    "should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster",
    "should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local",
    "should serve endpoints on same port and different protocols",
    "should support named targetPorts that resolve to different ports on different endpoints",
    "should allow creating a basic SCTP service with pod and endpoints",
    "should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes",
  ),
  ...elsewhere(
    "test/service-allocation.test.ts",
    "should prevent NodePort collisions",
    "should check NodePort out-of-range",
    "should release NodePorts on delete",
  ),
  ...elsewhere(
    "test/api-objects.test.ts, by handlers that every kind has",
    "should find a service from listing all namespaces",
    "should complete a service status lifecycle",
    "should delete a collection of services",
  ),
  ...none(
    "agents and API servers die in test/lab/reliability.test.ts, between pods and not by Services",
    "should work after restarting apiserver",
    "should work after restarting kube-proxy",
  ),
  ...none(
    "as the ClusterIP cases, which the same flows serve",
    "should have session affinity timeout work for NodePort service",
    "should be able to switch session affinity for NodePort service",
  ),
  ...none(
    "the lab's API server has no core/v1 Endpoints",
    "should test the lifecycle of an Endpoint",
  ),
  ...none(
    "the lab runs no containers",
    "should connect to the ports exposed by restartable init containers",
  ),
];

/** test/e2e/network/networking.go, "Granular Checks: Services", dual_stack.go and traffic_distribution.go */
const granular: readonly ServiceCase[] = [
  ...packets(
    "should function for pod-Service: http",
    "should function for pod-Service: udp",
    "should function for pod-Service: sctp",
    "should function for node-Service: http",
    "should function for node-Service: udp",
    "should function for multiple endpoint-Services with same selector",
    "should function for service endpoints using hostNetwork",
    "should update endpoints: http",
    "should update nodePort: http",
    "should create service with ipv4 cluster ip",
    "should create service with ipv6 cluster ip",
    "should create service with ipv4,v6 cluster ip",
    "should create service with ipv6,v4 cluster ip",
    "should route traffic to an endpoint in the same zone when PreferSameZone is set",
    "should route traffic to an endpoint on the same node when PreferSameNode is set",
  ),
  ...none(
    "the lab's listeners answer one line",
    "should be able to handle large requests: http",
    "should be able to handle large requests: udp",
  ),
];

export const serviceCases: Readonly<Record<string, readonly ServiceCase[]>> = {
  Services: services,
  "Granular checks, dual stack and traffic distribution": granular,
};
