export function policy(namespace: string, name: string, spec: object): object {
  const metadata = { name, namespace };
  return { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec };
}

/** Everything, in both directions, of all pods of the namespace. */
export function denyAll(namespace: string): object {
  return policy(namespace, "deny-all", { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
}
