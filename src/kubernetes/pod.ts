import type { Endpoint, NamedPort } from "../model/endpoint.ts";
import { isPortProtocol } from "../net/protocol.ts";
import { fieldAt, fieldOf, labelsOf, listOf, stringOf } from "./json.ts";
import { firstOfEachFamily } from "./node.ts";

/** The domain of pods that no Endpoint object places elsewhere. */
export const defaultDomain = "default";

/** The containers that may listen for as long as the pod runs: all but init containers that end. */
function lastingContainers(pod: unknown): readonly unknown[] {
  const containers = listOf(fieldAt(pod, "spec", "containers")) ?? [];
  const initial = listOf(fieldAt(pod, "spec", "initContainers")) ?? [];
  return [...containers, ...initial.filter((each) => fieldOf(each, "restartPolicy") === "Always")];
}

/** Where containers disagree on a name, the first counts, as in Kubernetes. */
function namedPortsOf(pod: unknown): readonly NamedPort[] {
  const ports = new Map<string, NamedPort>();
  for (const container of lastingContainers(pod)) {
    for (const declared of listOf(fieldOf(container, "ports")) ?? []) {
      const name = stringOf(fieldOf(declared, "name"));
      const protocol = fieldOf(declared, "protocol") ?? "TCP";
      const port = fieldOf(declared, "containerPort");
      if (name === undefined || typeof protocol !== "string" || !isPortProtocol(protocol)) continue;
      if (typeof port !== "number" || !Number.isInteger(port)) continue;
      const key = `${protocol} ${name}`;
      if (!ports.has(key)) ports.set(key, { name, protocol, port });
    }
  }
  return [...ports.values()];
}

/** On the pod that stands for a static pod in the API: the uid by which its kubelet knows it. */
export const staticPodAnnotation = "kubernetes.io/config.hash";

/** The pod's uids as a container runtime may name them: kubelet passes on its own for a static pod. */
function uidsOf(pod: unknown): readonly string[] {
  const uid = stringOf(fieldAt(pod, "metadata", "uid"));
  const hash = stringOf(fieldAt(pod, "metadata", "annotations", staticPodAnnotation));
  return [uid, hash].filter((each) => each !== undefined);
}

/** Addresses of the pod: its Endpoint object's, or without one what the pod's status says. */
function addressesOf(pod: unknown, attachment: unknown): readonly string[] {
  if (attachment !== undefined) {
    return firstOfEachFamily(listOf(fieldAt(attachment, "spec", "addresses")) ?? []);
  }
  const several = (listOf(fieldAt(pod, "status", "podIPs")) ?? []).map((each) =>
    fieldOf(each, "ip"),
  );
  return firstOfEachFamily([...several, fieldAt(pod, "status", "podIP")]);
}

/**
 * core/v1 Pod, with the isobar.io Endpoint of the same name where there is one. `undefined` for a pod that is no
 * endpoint: it uses its node's network, has ended (Succeeded, Failed), or could not be understood, and then no other
 * endpoint reaches it. A terminating pod still counts.
 */
export function translatePod(pod: unknown, attachment?: unknown): Endpoint | undefined {
  const name = stringOf(fieldAt(pod, "metadata", "name"));
  const zone = stringOf(fieldAt(pod, "metadata", "namespace"));
  const labels = labelsOf(fieldAt(pod, "metadata", "labels"));
  if (name === undefined || zone === undefined || labels === undefined) return undefined;
  if (fieldAt(pod, "spec", "hostNetwork") === true) return undefined;
  const phase = fieldAt(pod, "status", "phase");
  if (phase === "Succeeded" || phase === "Failed") return undefined;
  return {
    id: `${zone}/${name}`,
    zone,
    labels,
    namedPorts: namedPortsOf(pod),
    domain: stringOf(fieldAt(attachment, "spec", "domain")) ?? defaultDomain,
    addresses: addressesOf(pod, attachment),
    mac: stringOf(fieldAt(attachment, "spec", "mac")) ?? "",
    uids: uidsOf(pod),
    node: stringOf(fieldAt(pod, "spec", "nodeName")),
  };
}
