// The names of a cluster: Kubernetes DNS-Based Service Discovery 1.1.0. A name is there when it has a record or when one
// below it has (RFC 8020), so what is asked is found by its labels and nothing is kept twice.
import type { NamedHost, NamedService } from "../model/named-service.ts";
import { type Address, formatAddress, tryParseAddress } from "../net/address.ts";

/** What a name has. A record's name is relative to the zone. */
export type NameData =
  | { readonly kind: "addresses"; readonly addresses: readonly Address[] }
  | { readonly kind: "alias"; readonly target: string }
  | { readonly kind: "servers"; readonly servers: readonly Server[] }
  | { readonly kind: "text"; readonly text: string }
  /** Something is below it. */
  | { readonly kind: "empty" };

/** What a SRV record says. */
export interface Server {
  readonly port: number;
  /** Labels of its name, within the zone. */
  readonly host: readonly string[];
  readonly addresses: readonly Address[];
}

/** Version of the schema that the names follow. */
const schemaVersion = "1.1.0";

type Service = Omit<NamedService, "hosts">;

interface Entry {
  service: Service | undefined;
  readonly hosts: Map<string, NamedHost>;
}

const empty: NameData = { kind: "empty" };

function parseAll(texts: readonly string[]): readonly Address[] {
  return texts.flatMap((text) => tryParseAddress(text) ?? []);
}

/** A host without a name of its own is called by its address. */
function hostnameOf({ hostname, address }: NamedHost): string {
  return hostname?.toLowerCase() ?? address.replaceAll(/[.:]/g, "-");
}

function splitId(id: string): readonly [namespace: string, name: string] {
  const slash = id.indexOf("/");
  return [id.slice(0, slash), id.slice(slash + 1)];
}

/** Counts by key. */
class Counts {
  readonly #counts = new Map<string, number>();

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  add(key: string, difference: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + difference;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }

  get size(): number {
    return this.#counts.size;
  }
}

export class ServiceZone {
  readonly #entries = new Map<string, Entry>();
  /** Namespaces with a Service that has a name now. */
  readonly #namespaces = new Counts();
  /** `address namespace` of endpoints, and the namespaces that have some. */
  readonly #places = new Counts();
  readonly #placed = new Counts();
  readonly #endpoints = new Map<string, readonly string[]>();
  /** Address → the names that it has, as labels joined by dots. */
  readonly #reverse = new Map<string, Set<string>>();

  /** Entries in every index; 0 when nothing is left. */
  get size(): number {
    return (
      this.#entries.size +
      this.#namespaces.size +
      this.#places.size +
      this.#placed.size +
      this.#endpoints.size +
      this.#reverse.size
    );
  }

  /** How many Services are known. */
  get services(): number {
    return this.#entries.size;
  }

  setService(id: string, service: Service | undefined): void {
    this.#change(id, (entry) => {
      entry.service = service;
    });
  }

  service(id: string): Service | undefined {
    return this.#entries.get(id)?.service;
  }

  /** `key` is unique among all hosts. They count once their Service is there. */
  setHost(service: string, key: string, host: NamedHost | undefined): void {
    const entry = this.#entries.get(service);
    const before = entry?.hosts.get(key);
    // Only this host's names change: a headless Service may have thousands.
    if (entry !== undefined && before !== undefined) this.#nameHost(entry, before, -1);
    const hadName = entry !== undefined && isThere(entry);
    const after = entry ?? this.#entryOf(service);
    if (host === undefined) after.hosts.delete(key);
    else after.hosts.set(key, host);
    if (host !== undefined) this.#nameHost(after, host, 1);
    this.#settle(service, after, hadName);
  }

  /** Pods are found by their addresses. `id` is `namespace/name`. */
  setEndpoint(id: string, addresses: readonly string[] | undefined): void {
    const [namespace] = splitId(id);
    for (const address of this.#endpoints.get(id) ?? []) {
      this.#places.add(`${address} ${namespace}`, -1);
      this.#placed.add(namespace, -1);
    }
    const after = parseAll(addresses ?? []).map(formatAddress);
    if (after.length === 0) this.#endpoints.delete(id);
    else this.#endpoints.set(id, after);
    for (const address of after) {
      this.#places.add(`${address} ${namespace}`, 1);
      this.#placed.add(namespace, 1);
    }
  }

  /** What the name has; `undefined` when there is no such name. `labels` are those before the zone's own, in lower case. */
  find(labels: readonly string[]): NameData | undefined {
    const [last, ...rest] = labels.toReversed();
    switch (last) {
      case undefined:
        return empty;
      case "dns-version":
        return rest.length === 0 ? { kind: "text", text: schemaVersion } : undefined;
      case "svc":
        return this.#findService(rest);
      case "pod":
        return this.#findPod(rest);
      default:
        return undefined;
    }
  }

  /** Names of the address, each relative to the zone. */
  namesOf(address: Address): readonly string[] {
    return [...(this.#reverse.get(formatAddress(address)) ?? [])];
  }

  #findService([namespace, name, third, fourth, ...more]: readonly string[]): NameData | undefined {
    if (namespace === undefined) return empty;
    if (name === undefined) return this.#namespaces.has(namespace) ? empty : undefined;
    const entry = this.#entries.get(`${namespace}/${name}`);
    if (entry === undefined || !isThere(entry) || more.length > 0) return undefined;
    if (third === undefined) return dataOf(entry);
    const own = [name, namespace, "svc"];
    if (fourth === undefined) return findBelow(entry, third);
    const servers = serversOf(entry, { port: fourth, protocol: third, own });
    return servers.length === 0 ? undefined : { kind: "servers", servers };
  }

  #findPod([namespace, dashed, ...more]: readonly string[]): NameData | undefined {
    if (namespace === undefined) return empty;
    if (!this.#placed.has(namespace) || more.length > 0) return undefined;
    if (dashed === undefined) return empty;
    const address =
      tryParseAddress(dashed.replaceAll("-", ".")) ?? tryParseAddress(dashed.replaceAll("-", ":"));
    const isPlaced = address && this.#places.has(`${formatAddress(address)} ${namespace}`);
    return isPlaced === true ? { kind: "addresses", addresses: [address] } : undefined;
  }

  #entryOf(id: string): Entry {
    const entry = this.#entries.get(id) ?? { service: undefined, hosts: new Map() };
    this.#entries.set(id, entry);
    return entry;
  }

  #change(id: string, body: (entry: Entry) => void): void {
    const entry = this.#entryOf(id);
    const hadName = isThere(entry);
    this.#nameAll(entry, -1);
    body(entry);
    this.#nameAll(entry, 1);
    this.#settle(id, entry, hadName);
  }

  #settle(id: string, entry: Entry, hadName: boolean): void {
    const hasName = isThere(entry);
    if (hadName !== hasName) this.#namespaces.add(splitId(id)[0], hasName ? 1 : -1);
    if (entry.service === undefined && entry.hosts.size === 0) this.#entries.delete(id);
  }

  #nameAll(entry: Entry, difference: 1 | -1): void {
    if (entry.service === undefined) return;
    for (const address of parseAll(entry.service.addresses)) {
      this.#name(address, ownLabels(entry.service.id), difference);
    }
    for (const host of entry.hosts.values()) this.#nameHost(entry, host, difference);
  }

  #nameHost({ service }: Entry, host: NamedHost, difference: 1 | -1): void {
    const address = tryParseAddress(host.address);
    if (service === undefined || address === undefined) return;
    this.#name(address, [hostnameOf(host), ...ownLabels(service.id)], difference);
  }

  #name(address: Address, labels: readonly string[], difference: 1 | -1): void {
    const key = formatAddress(address);
    const names = this.#reverse.get(key) ?? new Set<string>();
    if (difference === 1) names.add(labels.join("."));
    else names.delete(labels.join("."));
    if (names.size === 0) this.#reverse.delete(key);
    else this.#reverse.set(key, names);
  }
}

function ownLabels(id: string): readonly string[] {
  const [namespace, name] = splitId(id);
  return [name, namespace, "svc"];
}

/** A headless Service without hosts has no name: section 2.4.1. */
function isThere({ service, hosts }: Entry): boolean {
  if (service === undefined) return false;
  return service.alias !== undefined || service.addresses.length > 0 || hosts.size > 0;
}

function isHeadless({ alias, addresses }: Service): boolean {
  return alias === undefined && addresses.length === 0;
}

function dataOf({ service, hosts }: Entry): NameData {
  if (service?.alias !== undefined) return { kind: "alias", target: service.alias };
  const own = parseAll(service?.addresses ?? []);
  if (own.length > 0) return { kind: "addresses", addresses: own };
  const texts = new Set(Array.from(hosts.values(), ({ address }) => address));
  return { kind: "addresses", addresses: parseAll([...texts]) };
}

/** What is right below the Service's name: a host, or a protocol with something below it. */
function findBelow({ service, hosts }: Entry, label: string): NameData | undefined {
  if (service === undefined) return undefined;
  const hasPort = ({ ports }: Pick<NamedHost, "ports">): boolean =>
    ports.some(({ protocol }) => `_${protocol.toLowerCase()}` === label);
  if (!isHeadless(service)) return hasPort(service) ? empty : undefined;
  const all = [...hosts.values()];
  const addresses = all.filter((host) => hostnameOf(host) === label).map((host) => host.address);
  if (addresses.length > 0) return { kind: "addresses", addresses: parseAll(addresses) };
  return all.some(hasPort) ? empty : undefined;
}

interface PortName {
  readonly port: string;
  readonly protocol: string;
  readonly own: readonly string[];
}

function serversOf({ service, hosts }: Entry, { port, protocol, own }: PortName): Server[] {
  if (service === undefined) return [];
  const numbersOf = ({ ports }: Pick<NamedHost, "ports">): readonly number[] =>
    ports
      .filter((each) => `_${each.protocol.toLowerCase()}` === protocol && `_${each.name}` === port)
      .map((each) => each.port);
  if (!isHeadless(service)) {
    const addresses = parseAll(service.addresses);
    return numbersOf(service).map((number) => ({ port: number, host: own, addresses }));
  }
  // A host of both families is one server, with two addresses.
  const servers = new Map<string, Server>();
  for (const host of hosts.values()) {
    const hostname = hostnameOf(host);
    for (const number of numbersOf(host)) {
      const key = `${hostname} ${number}`;
      const before = servers.get(key)?.addresses ?? [];
      const addresses = [...before, ...parseAll([host.address])];
      servers.set(key, { port: number, host: [hostname, ...own], addresses });
    }
  }
  return [...servers.values()];
}
