import type { Node } from "../model/endpoint.ts";
import { type Family, tryParseAddress } from "../net/address.ts";
import { fieldAt, fieldOf, labelsOf, listOf, stringOf } from "./json.ts";

/** On a Node: the zone that it stands in. */
const zoneLabel = "topology.kubernetes.io/zone";

/** The first text of each family that is an address, in the order given. */
export function firstOfEachFamily(texts: readonly unknown[]): readonly string[] {
  const addresses = new Map<Family, string>();
  for (const text of texts) {
    const family = typeof text === "string" ? tryParseAddress(text)?.family : undefined;
    if (family !== undefined && !addresses.has(family)) addresses.set(family, String(text));
  }
  return [...addresses.values()];
}

function isAddress(text: unknown): text is string {
  return typeof text === "string" && tryParseAddress(text) !== undefined;
}

function addressesIn(entries: readonly unknown[]): readonly string[] {
  return [...new Set(entries.map((each) => fieldOf(each, "address")).filter(isAddress))];
}

/**
 * core/v1 Node: its addresses are all of type InternalIP, in their order. An ExternalIP is often translated on the way to
 * the node, so that no packet between nodes carries it; to the overlay it is an address of the outside. For rules that name
 * nodes, the node is known by every address of its status. `undefined` for a node without a name.
 */
export function translateNode(object: unknown): Node | undefined {
  const name = stringOf(fieldAt(object, "metadata", "name"));
  if (name === undefined) return undefined;
  const labels = labelsOf(fieldAt(object, "metadata", "labels")) ?? {};
  const zone = labels[zoneLabel];
  const listed = listOf(fieldAt(object, "status", "addresses")) ?? [];
  return {
    name,
    labels,
    addresses: addressesIn(listed.filter((each) => fieldOf(each, "type") === "InternalIP")),
    knownAddresses: addressesIn(listed),
    ...(zone !== undefined && zone !== "" && { zone }),
  };
}
