import type { Endpoint } from "../model/endpoint.ts";
import { fieldAt, labelsOf, listOf, stringOf } from "./json.ts";
import { firstOfEachFamily } from "./node.ts";

/** Whether the Endpoint object is a pod's; then what it means depends on the pod. */
export function isOfPod(endpoint: unknown): boolean {
  return fieldAt(endpoint, "spec", "attachment", "kind") === "Pod";
}

/**
 * isobar.io Endpoint that is no pod's: a virtual machine, a server, a container without a pod. Policies know it by its own
 * labels. `undefined` for one that is a pod's, or could not be understood.
 */
export function translateEndpoint(endpoint: unknown): Endpoint | undefined {
  const name = stringOf(fieldAt(endpoint, "metadata", "name"));
  const zone = stringOf(fieldAt(endpoint, "metadata", "namespace"));
  const labels = labelsOf(fieldAt(endpoint, "metadata", "labels"));
  const domain = stringOf(fieldAt(endpoint, "spec", "domain"));
  if (isOfPod(endpoint) || name === undefined || zone === undefined) return undefined;
  if (labels === undefined || domain === undefined) return undefined;
  const uids = [
    fieldAt(endpoint, "metadata", "uid"),
    fieldAt(endpoint, "spec", "attachment", "uid"),
  ];
  return {
    id: `${zone}/${name}`,
    zone,
    labels,
    namedPorts: [],
    domain,
    addresses: firstOfEachFamily(listOf(fieldAt(endpoint, "spec", "addresses")) ?? []),
    mac: stringOf(fieldAt(endpoint, "spec", "mac")) ?? "",
    uids: uids.map(stringOf).filter((uid) => uid !== undefined),
    node: stringOf(fieldAt(endpoint, "spec", "node")),
  };
}
