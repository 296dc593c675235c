import { locate, sizeOf, type Whereabouts } from "../ipam/audit.ts";
import { NetworkLedger } from "../ipam/network-ledger.ts";
import type { Endpoint } from "../kinds/endpoint.ts";
import { formatAddress, tryParseAddress } from "../net/address.ts";
import { CliError } from "./errors.ts";
import {
  type AddressObjects,
  type ApiOptions,
  auditInputOf,
  fetchAddressObjects,
  keyOf,
  openClient,
} from "./ipam-objects.ts";
import { formatTable, type OutputFormat, print } from "./output.ts";

export interface IpamShowOptions extends ApiOptions {
  readonly what?: string;
  readonly output: OutputFormat;
}

interface PoolUsage {
  readonly domain: string;
  readonly pool: string;
  readonly size: string;
  readonly networks: number;
}

interface NetworkUsage {
  readonly network: string;
  readonly domain: string;
  readonly cidrs: readonly string[];
  readonly used: number;
  readonly free: number;
  readonly resting: number;
}

interface Holder {
  readonly endpoint: string;
  readonly addresses: readonly string[];
  readonly network: string;
  readonly node: string;
  readonly attached: string;
  readonly status: string;
}

export function overviewOf(
  objects: AddressObjects,
  nowMs: number,
): { readonly pools: PoolUsage[]; readonly networks: NetworkUsage[] } {
  return {
    pools: objects.domains.flatMap(({ metadata, spec, status }) =>
      spec.pools.map((pool) => ({
        domain: metadata.name,
        pool,
        size: sizeOf(pool),
        networks: status?.pools?.find(({ cidr }) => cidr === pool)?.networks ?? 0,
      })),
    ),
    networks: objects.networks
      .map((network) => {
        const ledger = NetworkLedger.parse(network.status);
        const resting = [...ledger.resting.values()].filter((untilMs) => untilMs > nowMs).length;
        const free = Math.max(0, (network.status?.free ?? 0) - resting);
        const { domain, cidrs } = network.spec;
        const used = ledger.allocated.length;
        return { network: keyOf(network), domain, cidrs, used, free, resting };
      })
      .toSorted((a, b) => a.network.localeCompare(b.network)),
  };
}

export function holderOf(endpoint: Endpoint): Holder {
  const { addresses, network = "", node = "", attachment } = endpoint.spec;
  return {
    endpoint: keyOf(endpoint),
    addresses,
    network,
    node,
    attached: `${attachment.kind.toLowerCase()}/${attachment.name}`,
    status: endpoint.status?.phase ?? "",
  };
}

function formatHolders(holders: readonly Holder[]): string {
  return formatTable(
    ["ENDPOINT", "ADDRESSES", "NETWORK", "NODE", "ATTACHED", "STATUS"],
    holders.map(({ endpoint, addresses, network, node, attached, status }) => [
      endpoint,
      addresses.join(", "),
      network,
      node,
      attached,
      status,
    ]),
  );
}

function formatOverview({ pools, networks }: ReturnType<typeof overviewOf>): string {
  return [
    formatTable(
      ["DOMAIN", "POOL", "ADDRESSES", "NETWORKS"],
      pools.map(({ domain, pool, size, networks: cut }) => [domain, pool, size, String(cut)]),
    ),
    "",
    formatTable(
      ["NETWORK", "DOMAIN", "CIDRS", "USED", "RESTING", "FREE"],
      networks.map(({ network, domain, cidrs, used, resting, free }) => [
        network,
        domain,
        cidrs.join(", "),
        String(used),
        String(resting),
        String(free),
      ]),
    ),
  ].join("\n");
}

function formatPlace(address: string, place: Whereabouts): string {
  const { domain, network, state, restsUntilMs } = place;
  const where = network === undefined ? `pool ${place.pool ?? "none"}` : `network ${network}`;
  const until = restsUntilMs === undefined ? "" : ` until ${new Date(restsUntilMs).toISOString()}`;
  return `${address} of domain ${domain}, ${where}: ${state}${until}`;
}

/** @throws {CliError} for something that there is not */
function showOne(objects: AddressObjects, what: string, output: OutputFormat): void {
  const address = tryParseAddress(what);
  if (address !== undefined) {
    const text = formatAddress(address);
    const places = locate(auditInputOf(objects), text, Date.now());
    if (places.length === 0) throw new CliError(`${text} is in no pool of any domain`);
    const holders = objects.endpoints.filter(({ spec }) => spec.addresses.includes(text));
    const shown = { address: text, places, holders: holders.map(holderOf) };
    print(output, shown, () =>
      [
        ...places.map((place) => formatPlace(text, place)),
        ...(holders.length > 0 ? ["", formatHolders(shown.holders)] : []),
      ].join("\n"),
    );
    return;
  }
  const holders = objects.endpoints
    .filter((each) => keyOf(each) === what || each.metadata.namespace === what)
    .map(holderOf);
  if (holders.length === 0) {
    throw new CliError(
      `expected an address, a namespace or NAMESPACE/POD with addresses, got "${what}"`,
    );
  }
  print(output, holders, () => formatHolders(holders));
}

export async function ipamShow(options: IpamShowOptions): Promise<void> {
  const client = openClient(options);
  try {
    const objects = await fetchAddressObjects(client);
    if (options.what !== undefined) {
      showOne(objects, options.what, options.output);
      return;
    }
    const overview = overviewOf(objects, Date.now());
    print(options.output, overview, () => formatOverview(overview));
  } finally {
    await client.close();
  }
}
