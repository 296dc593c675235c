// What must hold of all addresses at any time, checked over everything there is: no address twice, every address in its
// network, every network in its domain's pools, no two networks over one another, an endpoint for each pod and a pod for
// each endpoint, and ledgers that say the same as the endpoints.
import {
  type Prefix,
  formatPrefix,
  prefixContains,
  tryParseAddress,
  tryParsePrefix,
  widthOf,
} from "../net/address.ts";
import type { NetworkLedger } from "./network-ledger.ts";
import { SpaceNetwork } from "./space-network.ts";

interface AuditDomain {
  readonly name: string;
  readonly pools: readonly string[];
}

interface AuditNetwork {
  /** `namespace/name` */
  readonly id: string;
  readonly zone: string;
  readonly domain: string;
  readonly cidrs: readonly string[];
  readonly ledger: NetworkLedger;
}

interface AuditEndpoint {
  /** `namespace/name` */
  readonly id: string;
  readonly domain: string;
  /** `namespace/name`; `undefined` where an external IPAM gives the addresses. */
  readonly network: string | undefined;
  readonly addresses: readonly string[];
  /** The pod that it is for; `undefined` for something else than a pod. */
  readonly podUid: string | undefined;
  /** Whether it outlives its pod. */
  readonly kept: boolean;
}

interface AuditPod {
  /** `namespace/name` */
  readonly id: string;
  readonly uid: string;
  /** What its status says it has. */
  readonly addresses: readonly string[];
}

/** Everything there is. Pods are those that are to have addresses. */
export interface AuditInput {
  readonly domains: readonly AuditDomain[];
  readonly networks: readonly AuditNetwork[];
  readonly endpoints: readonly AuditEndpoint[];
  readonly pods: readonly AuditPod[];
}

export const findingKinds = {
  duplicate: "an address that several endpoints have",
  "no-domain": "a domain that does not exist",
  "pools-overlap": "pools of a domain over one another",
  "outside-pools": "a network outside of its domain's pools",
  "networks-overlap": "networks over one another",
  "no-network": "an endpoint whose network does not exist",
  "outside-network": "an address outside of its network",
  "no-pod": "an endpoint whose pod does not exist",
  "no-endpoint": "a pod without an endpoint",
  "other-address": "a pod that says it has another address than its endpoint",
  "not-reserved": "an address that its network does not know to be taken",
  leaked: "a place that is taken and that no endpoint has",
} as const;

export interface Finding {
  readonly kind: keyof typeof findingKinds;
  /** What is wrong, such as `Endpoint shop/web`. */
  readonly object: string;
  readonly message: string;
  /** Of a place in a network that is `leaked` or `not-reserved`. */
  readonly place?: { readonly network: string; readonly offset: number };
}

/** O(n log n) in everything there is. Findings are in the order of the kinds above. */
export function audit(input: AuditInput): Finding[] {
  const networks = new Map<string, SpaceNetwork>();
  for (const network of input.networks) {
    if (network.cidrs.every((cidr) => tryParsePrefix(cidr) !== undefined)) {
      networks.set(network.id, new SpaceNetwork(network.id, network));
    }
  }
  const findings = [
    ...duplicates(input.endpoints),
    ...wrongDomains(input),
    ...overlapping(input, networks),
    ...wrongNetworks(input.endpoints, networks),
    ...wrongPods(input),
    ...wrongLedgers(input, networks),
  ];
  const order = Object.keys(findingKinds);
  return findings.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

function duplicates(endpoints: readonly AuditEndpoint[]): Finding[] {
  const holders = new Map<string, string[]>();
  for (const { id, domain, addresses } of endpoints) {
    for (const address of addresses) {
      const key = `${domain} ${address}`;
      const others = holders.get(key);
      if (others) others.push(id);
      else holders.set(key, [id]);
    }
  }
  return [...holders]
    .filter(([, ids]) => ids.length > 1)
    .flatMap(([key, ids]) => {
      const [domain, address] = key.split(" ");
      return ids.map((id): Finding => {
        const others = ids.filter((each) => each !== id).join(", ");
        const message = `${address} of domain ${domain} is also of ${others}`;
        return { kind: "duplicate", object: `Endpoint ${id}`, message };
      });
    });
}

function wrongDomains({ domains, networks, endpoints }: AuditInput): Finding[] {
  const findings: Finding[] = [];
  const known = new Map(domains.map((domain) => [domain.name, parseAll(domain.pools)]));
  for (const [name, pools] of known) {
    for (const [one, other] of overlapsOf(pools.map((prefix) => ({ prefix, id: "" })))) {
      const message = `${formatPrefix(one.prefix)} and ${formatPrefix(other.prefix)}`;
      findings.push({ kind: "pools-overlap", object: `Domain ${name}`, message });
    }
  }
  for (const { id, domain, cidrs } of networks) {
    const object = `Network ${id}`;
    const pools = known.get(domain);
    if (pools === undefined) {
      findings.push({ kind: "no-domain", object, message: `domain "${domain}" does not exist` });
      continue;
    }
    for (const cidr of cidrs) {
      const prefix = tryParsePrefix(cidr);
      if (prefix && pools.some((pool) => prefixContains(pool, prefix))) continue;
      const message = `${cidr} is not in the pools of domain "${domain}" (${pools.map(formatPrefix).join(", ")})`;
      findings.push({ kind: "outside-pools", object, message });
    }
  }
  for (const { id, domain, network } of endpoints) {
    if (network !== undefined || known.has(domain)) continue;
    const message = `domain "${domain}" does not exist`;
    findings.push({ kind: "no-domain", object: `Endpoint ${id}`, message });
  }
  return findings;
}

interface Part {
  readonly prefix: Prefix;
  readonly id: string;
}

/** Neighbours in order of their first addresses: prefixes overlap only when one holds the other. */
function overlapsOf(parts: readonly Part[]): [Part, Part][] {
  const sorted = parts.toSorted(
    ({ prefix: a }, { prefix: b }) =>
      a.family - b.family || compare(a.bits, b.bits) || a.length - b.length,
  );
  const found: [Part, Part][] = [];
  let outer: Part | undefined;
  for (const part of sorted) {
    if (outer && prefixContains(outer.prefix, part.prefix)) found.push([outer, part]);
    else outer = part;
  }
  return found;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

function overlapping(
  { networks }: AuditInput,
  spaces: ReadonlyMap<string, SpaceNetwork>,
): Finding[] {
  const byDomain = Map.groupBy(networks, ({ domain }) => domain);
  return [...byDomain.values()].flatMap((own) => {
    const parts = own.flatMap(({ id }) =>
      (spaces.get(id)?.prefixes ?? []).map((prefix) => ({ prefix, id })),
    );
    return overlapsOf(parts).map(([one, other]): Finding => {
      const message = `${formatPrefix(other.prefix)} is also of network ${one.id} (${formatPrefix(one.prefix)})`;
      return { kind: "networks-overlap", object: `Network ${other.id}`, message };
    });
  });
}

function wrongNetworks(
  endpoints: readonly AuditEndpoint[],
  networks: ReadonlyMap<string, SpaceNetwork>,
): Finding[] {
  const findings: Finding[] = [];
  for (const { id, network, addresses, domain } of endpoints) {
    if (network === undefined) continue;
    const object = `Endpoint ${id}`;
    const space = networks.get(network);
    if (space === undefined) {
      findings.push({ kind: "no-network", object, message: `network ${network} does not exist` });
    } else if (space.domain !== domain) {
      const message = `network ${network} is of domain "${space.domain}", the endpoint of "${domain}"`;
      findings.push({ kind: "outside-network", object, message });
    } else {
      for (const address of addresses) {
        if (space.contains(address)) continue;
        const message = `${address} is not in network ${network} (${space.prefixes.map(formatPrefix).join(", ")})`;
        findings.push({ kind: "outside-network", object, message });
      }
    }
  }
  return findings;
}

function wrongPods({ endpoints, pods }: AuditInput): Finding[] {
  const findings: Finding[] = [];
  const byId = new Map(pods.map((pod) => [pod.id, pod]));
  const endpointOf = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  for (const { id, podUid, kept } of endpoints) {
    if (podUid === undefined || byId.get(id)?.uid === podUid || kept) continue;
    const message = byId.has(id)
      ? "it is for an earlier pod of its name"
      : "its pod does not exist, has ended or is on no node";
    findings.push({ kind: "no-pod", object: `Endpoint ${id}`, message });
  }
  for (const { id, uid, addresses } of pods) {
    const object = `Pod ${id}`;
    const endpoint = endpointOf.get(id);
    if (endpoint?.podUid !== uid) {
      findings.push({ kind: "no-endpoint", object, message: "it has no endpoint, and no address" });
      continue;
    }
    const other = addresses.filter((address) => !endpoint.addresses.includes(address));
    if (other.length === 0) continue;
    const message = `its status says ${other.join(", ")}, its endpoint ${endpoint.addresses.join(", ")}; make the pod anew`;
    findings.push({ kind: "other-address", object, message });
  }
  return findings;
}

function wrongLedgers(
  { networks, endpoints }: AuditInput,
  spaces: ReadonlyMap<string, SpaceNetwork>,
): Finding[] {
  const findings: Finding[] = [];
  for (const { id, network, addresses } of endpoints) {
    if (network !== undefined) spaces.get(network)?.hold(id, addresses);
  }
  for (const { id, ledger } of networks) {
    const space = spaces.get(id);
    if (space === undefined) continue;
    const find = (kind: "leaked" | "not-reserved", offset: number, why: string): void => {
      const message = `${space.addressesAt(offset).join(", ")} ${why}`;
      findings.push({ kind, object: `Network ${id}`, message, place: { network: id, offset } });
    };
    for (const offset of ledger.allocated) {
      if (!space.isHeld(offset)) find("leaked", offset, "is taken, and no endpoint has it");
    }
    for (const offset of space.heldOffsets()) {
      if (ledger.allocated.has(offset)) continue;
      const who = space.holdersOf(offset).join(", ");
      find("not-reserved", offset, `is endpoint ${who}'s, and not written down as taken`);
    }
  }
  return findings;
}

function parseAll(cidrs: readonly string[]): Prefix[] {
  return cidrs.map(tryParsePrefix).filter((prefix) => prefix !== undefined);
}

/** Whose an address is, in every domain that has it in its pools. */
export interface Whereabouts {
  readonly domain: string;
  readonly pool: string | undefined;
  readonly network: string | undefined;
  readonly endpoints: readonly string[];
  readonly state: "endpoint" | "taken" | "resting" | "free" | "in no network" | "not given out";
  /** When it may be given out again, in milliseconds since 1970, while it rests. */
  readonly restsUntilMs: number | undefined;
}

export function locate(input: AuditInput, text: string, nowMs: number): Whereabouts[] {
  const address = tryParseAddress(text);
  if (address === undefined) return [];
  const found: Whereabouts[] = [];
  for (const { name: domain, pools } of input.domains) {
    const pool = parseAll(pools).find((each) => prefixContains(each, address));
    const endpoints = input.endpoints
      .filter((each) => each.domain === domain && each.addresses.includes(text))
      .map(({ id }) => id);
    const known = input.networks.find(
      (each) =>
        each.domain === domain && parseAll(each.cidrs).some((own) => prefixContains(own, address)),
    );
    if (pool === undefined && known === undefined && endpoints.length === 0) continue;
    const at = known && stateIn(known, text, nowMs);
    found.push({
      domain,
      pool: pool && formatPrefix(pool),
      network: known?.id,
      endpoints,
      state: endpoints.length > 0 ? "endpoint" : (at?.state ?? "in no network"),
      restsUntilMs: at?.restsUntilMs,
    });
  }
  return found;
}

function stateIn(
  network: AuditNetwork,
  address: string,
  nowMs: number,
): Pick<Whereabouts, "state" | "restsUntilMs"> {
  const space = new SpaceNetwork(network.id, network);
  const offset = space.offsetOf(address);
  const { begin, end } = space.range;
  if (offset === undefined || offset < begin || offset >= end) {
    return { state: "not given out", restsUntilMs: undefined };
  }
  if (network.ledger.allocated.has(offset)) return { state: "taken", restsUntilMs: undefined };
  const untilMs = network.ledger.resting.get(offset) ?? 0;
  return untilMs > nowMs
    ? { state: "resting", restsUntilMs: untilMs }
    : { state: "free", restsUntilMs: undefined };
}

/** How many addresses a prefix has, as text: IPv6 pools have more than a number can say. */
export function sizeOf(cidr: string): string {
  const prefix = tryParsePrefix(cidr);
  if (prefix === undefined) return "?";
  const bits = widthOf(prefix.family) - prefix.length;
  return bits <= 32 ? String(2 ** bits) : `2^${bits}`;
}
