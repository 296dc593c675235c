// core/v1 Service with its discovery.k8s.io/v1 EndpointSlices, as names: Kubernetes DNS-Based Service Discovery 1.1.0.
import { canonicalDomainName } from "../model/domain-name.ts";
import type { Labels, NamedPort } from "../model/endpoint.ts";
import type { NamedHost, NamedService } from "../model/named-service.ts";
import { formatAddress, tryParseAddress } from "../net/address.ts";
import { isPortProtocol } from "../net/protocol.ts";
import { fieldAt, fieldOf, listOf, stringOf } from "./json.ts";

/** Those that have a name. */
function namedPortsOf(values: unknown): readonly NamedPort[] {
  return (listOf(values) ?? []).flatMap((value) => {
    const name = stringOf(fieldOf(value, "name")) ?? "";
    const port = fieldOf(value, "port");
    const protocol = stringOf(fieldOf(value, "protocol") ?? "TCP") ?? "";
    if (name === "" || typeof port !== "number" || !isPortProtocol(protocol)) return [];
    return [{ name: name.toLowerCase(), protocol, port }];
  });
}

function addressesOf(service: unknown): readonly string[] {
  const several = listOf(fieldAt(service, "spec", "clusterIPs")) ?? [];
  const values = several.length > 0 ? several : [fieldAt(service, "spec", "clusterIP")];
  const parsed = values.map((each) =>
    typeof each === "string" ? tryParseAddress(each) : undefined,
  );
  return parsed.filter((address) => address !== undefined).map(formatAddress);
}

/** By address and name: an endpoint may be in two slices while it moves, and pods of one node's network share addresses. */
function hostsOf(slices: Iterable<unknown>, unready: boolean): readonly NamedHost[] {
  const hosts = new Map<string, NamedHost>();
  for (const slice of slices) {
    const ports = namedPortsOf(fieldOf(slice, "ports"));
    for (const endpoint of listOf(fieldOf(slice, "endpoints")) ?? []) {
      if (!unready && fieldAt(endpoint, "conditions", "ready") === false) continue;
      // All addresses of an endpoint are the same thing; consumers use the first (EndpointSlice API).
      const text = stringOf(listOf(fieldOf(endpoint, "addresses"))?.[0]);
      const parsed = text === undefined ? undefined : tryParseAddress(text);
      if (parsed === undefined) continue;
      const address = formatAddress(parsed);
      const hostname = canonicalDomainName(stringOf(fieldOf(endpoint, "hostname")) ?? "");
      const named = hostname === undefined || hostname.includes(".") ? {} : { hostname };
      const key = `${address} ${named.hostname ?? ""}`;
      const known = hosts.get(key)?.ports ?? [];
      const names = new Set(known.map(({ name, protocol }) => `${name} ${protocol}`));
      const more = ports.filter(({ name, protocol }) => !names.has(`${name} ${protocol}`));
      hosts.set(key, { address, ...named, ports: [...known, ...more] });
    }
  }
  return [...hosts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, host]) => host);
}

/** `undefined` for a Service that has no name: one without an address so far, or one that could not be understood. */
export function translateNames(
  service: unknown,
  slices: Iterable<unknown>,
  domain: string,
): NamedService | undefined {
  const name = stringOf(fieldAt(service, "metadata", "name"));
  const namespace = stringOf(fieldAt(service, "metadata", "namespace"));
  if (name === undefined || namespace === undefined) return undefined;
  const own = { id: `${namespace}/${name}`, domain };
  if (fieldAt(service, "spec", "type") === "ExternalName") {
    const alias = canonicalDomainName(stringOf(fieldAt(service, "spec", "externalName")) ?? "");
    return alias === undefined ? undefined : { ...own, addresses: [], alias, ports: [], hosts: [] };
  }
  const ports = namedPortsOf(fieldAt(service, "spec", "ports"));
  if (fieldAt(service, "spec", "clusterIP") === "None") {
    const unready = fieldAt(service, "spec", "publishNotReadyAddresses") === true;
    return { ...own, addresses: [], ports, hosts: hostsOf(slices, unready) };
  }
  const addresses = addressesOf(service);
  return addresses.length === 0 ? undefined : { ...own, addresses, ports, hosts: [] };
}

/** Labels of the pods that the Service selects, as far as it says. */
export function selectorOf(service: unknown): Labels {
  const selector = fieldAt(service, "spec", "selector");
  if (typeof selector !== "object" || selector === null) return {};
  const entries = Object.entries(selector).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(entries);
}

/** Names of target ports, with the numbers at which the Service itself has them. */
export function targetPortsOf(service: unknown): readonly NamedPort[] {
  return (listOf(fieldAt(service, "spec", "ports")) ?? []).flatMap((value) => {
    const name = stringOf(fieldOf(value, "targetPort"));
    return name === undefined ? [] : namedPortsOf([{ ...asObject(value), name }]);
  });
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
