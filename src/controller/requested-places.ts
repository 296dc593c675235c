// Where a pod's addresses are to come from, after what was asked for in its and its namespace's annotations.
import type { AddressSpace, CutWish } from "../ipam/address-space.ts";
import type { AddressRequest } from "../ipam/request.ts";
import type { SpaceNetwork } from "../ipam/space-network.ts";
import { type Address, formatAddress, formatPrefix, prefixContains } from "../net/address.ts";
import { AddressRequestError, AddressesExhaustedError } from "./errors.ts";

export interface Wish {
  readonly domain: string;
  readonly zone: string;
  readonly request: AddressRequest;
}

export type WantedPlace =
  /** Any free place of the network. */
  | { readonly kind: "any"; readonly network: SpaceNetwork }
  | {
      readonly kind: "exactly";
      readonly network: SpaceNetwork;
      readonly offsets: readonly number[];
      readonly addresses: readonly string[];
    }
  /** There has to be one more network first. Equal keys of a zone want the same one. */
  | { readonly kind: "grow"; readonly wish: CutWish; readonly key: string };

/** @throws {AddressRequestError} @throws {AddressesExhaustedError} */
export function placeFor(space: AddressSpace, wish: Wish): WantedPlace {
  const { request } = wish;
  if (request.addresses.length > 0) return placeOfAddresses(space, wish);
  if (request.network !== undefined) {
    const network = namedNetwork(space, wish, request.network);
    if (space.isOpen(network.id)) return { kind: "any", network };
    throw new AddressesExhaustedError(`network ${network.id} is full`);
  }
  const { pools } = request;
  for (const network of space.openNetworks(wish.domain, wish.zone)) {
    const fits = network.prefixes.every(
      (part) => pools === undefined || pools.some((pool) => prefixContains(pool, part)),
    );
    if (fits) return { kind: "any", network };
  }
  return { kind: "grow", wish: { pools }, key: pools?.map(formatPrefix).join() ?? "" };
}

/** Where all of the addresses lie, when that is one network of the zone and each can be given out. */
export function placeOfExisting(
  space: AddressSpace,
  { domain, zone }: Wish,
  addresses: readonly Address[],
): WantedPlace | undefined {
  const [network, ...others] = new Set(addresses.map((each) => space.networkAround(domain, each)));
  if (network === undefined || others.length > 0 || network.zone !== zone) return undefined;
  const place = placeIn(network, addresses);
  return place.kind === "exactly" ? place : undefined;
}

function placeOfAddresses(space: AddressSpace, wish: Wish): WantedPlace {
  const { domain, zone, request } = wish;
  const { addresses } = request;
  for (const address of addresses) {
    if (space.isInPools(domain, address)) continue;
    const pools = space.usageOf(domain).pools.map(({ cidr }) => cidr);
    const where = `the pools of domain "${domain}" (${pools.join(", ")})`;
    throw new AddressRequestError(`${formatAddress(address)} is not in ${where}`);
  }
  const around = addresses.map((address) => ({
    address,
    network: space.networkAround(domain, address),
  }));
  const [first] = around;
  const named =
    request.network === undefined ? undefined : namedNetwork(space, wish, request.network);
  const network = named ?? first?.network;
  for (const each of around) checkNetwork(each.address, each.network, network, zone);
  if (network === undefined) {
    return { kind: "grow", wish: { around: addresses }, key: addresses.map(formatAddress).join() };
  }
  const place = placeIn(network, addresses);
  if (place.kind === "refused") throw new AddressRequestError(place.reason);
  return place;
}

function checkNetwork(
  address: Address,
  actual: SpaceNetwork | undefined,
  expected: SpaceNetwork | undefined,
  zone: string,
): void {
  const text = formatAddress(address);
  if (actual !== undefined && actual.zone !== zone) {
    throw new AddressRequestError(`${text} is in network ${actual.id}, of another namespace`);
  }
  if (actual === expected) return;
  const where = actual === undefined ? "in no network yet" : `in network ${actual.id}`;
  const wanted = expected === undefined ? "in no network yet" : `in network ${expected.id}`;
  throw new AddressRequestError(`${text} is ${where}, and the pod's network is ${wanted}`);
}

function placeIn(
  network: SpaceNetwork,
  addresses: readonly Address[],
): WantedPlace | { readonly kind: "refused"; readonly reason: string } {
  const { begin, end } = network.range;
  const offsets: number[] = [];
  for (const address of addresses) {
    const text = formatAddress(address);
    const offset = network.offsetOf(text);
    if (offset === undefined || offset < begin || offset >= end) {
      const first = network.addressesAt(begin).join(" and ");
      const last = network.addressesAt(end - 1).join(" and ");
      const reason = `${text} is not given to endpoints: network ${network.id} gives from ${first} to ${last}`;
      return { kind: "refused", reason };
    }
    offsets.push(offset);
  }
  // A family that was not asked for has the address of the same place.
  const [place = begin] = offsets;
  const texts = network.prefixes.map((prefix, index) => {
    const asked = addresses.find((address) => prefixContains(prefix, address));
    return asked ? formatAddress(asked) : (network.addressesAt(place)[index] ?? "");
  });
  return { kind: "exactly", network, offsets: [...new Set(offsets)], addresses: texts };
}

function namedNetwork(space: AddressSpace, { domain, zone }: Wish, name: string): SpaceNetwork {
  const network = space.network(`${zone}/${name}`);
  if (network === undefined) {
    throw new AddressRequestError(`there is no network "${name}" in namespace "${zone}"`);
  }
  if (network.domain === domain) return network;
  const reason = `network ${network.id} is of domain "${network.domain}", and the namespace's domain is "${domain}"`;
  throw new AddressRequestError(reason);
}
