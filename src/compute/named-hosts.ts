// What a named port means to an egress rule whose peers are networks: the hosts in these networks that are endpoints and
// call a port so. Identities cannot say it, for one endpoint of an identity may be in a network and another not.
import {
  type Prefix,
  formatPrefix,
  parsePrefix,
  prefixContains,
  prefixOf,
  tryParseAddress,
  widthOf,
} from "../net/address.ts";
import { type NamedNetworks, domainAttribute, namedNetworksOf } from "./compile.ts";
import { Counter } from "./counter.ts";
import { Group } from "./entities.ts";
import type { Identities, IdentityChanges, Placement } from "./identities.ts";
import type { PolicyChange } from "./policies.ts";
import { word } from "./words.ts";

interface Network {
  readonly block: Prefix;
  readonly except: readonly Prefix[];
}

/** The hosts of one domain that give the name one number. */
export interface HostGroup {
  readonly domain: string;
  readonly port: number;
  readonly group: Group;
}

interface HostList {
  readonly id: string;
  readonly attribute: string;
  readonly networks: readonly Network[];
  /** How often policies ask for it. */
  users: number;
  readonly groups: Map<string, HostGroup>;
  /** What each endpoint added. */
  readonly added: Map<string, readonly HostEntry[]>;
}

interface HostEntry {
  readonly host: HostGroup;
  readonly cidr: string;
}

export interface NamedHostChanges {
  /** Groups with other hosts than the nodes know that have them. */
  readonly changed: ReadonlySet<Group>;
  /** Ids of lists (`hostListId`) with other groups than before. */
  readonly repartitioned: ReadonlySet<string>;
}

export function hostListId({ networks, attribute }: NamedNetworks): string {
  return `${networks.id} :${word(attribute)}`;
}

/**
 * Keeps, for the few rules that ask for it, lists of host addresses by domain and port number. Cost of a change: the
 * endpoints that changed times the lists; a new list looks at every endpoint.
 */
export class NamedHosts {
  readonly #identities: Identities;
  readonly #lists = new Map<string, HostList>();
  #changed = new Set<Group>();
  #repartitioned = new Set<string>();

  constructor(identities: Identities) {
    this.#identities = identities;
  }

  get size(): number {
    let size = this.#lists.size;
    for (const { groups, added } of this.#lists.values()) size += groups.size + added.size;
    return size;
  }

  of(list: NamedNetworks): Iterable<HostGroup> {
    return this.#lists.get(hostListId(list))?.groups.values() ?? [];
  }

  update(policies: readonly PolicyChange[], identities: IdentityChanges): NamedHostChanges {
    for (const { after } of policies) {
      for (const list of after === undefined ? [] : namedNetworksOf(after)) this.#use(list);
    }
    for (const { before } of policies) {
      for (const list of before === undefined ? [] : namedNetworksOf(before)) this.#drop(list);
    }
    for (const list of this.#lists.values()) {
      for (const id of identities.unplaced) this.#replace(list, id, undefined);
      for (const placement of identities.placed) this.#replace(list, placement.id, placement);
    }
    // Only now, so that a group that empties and fills again stays the same group.
    for (const id of this.#repartitioned) {
      const groups = this.#lists.get(id)?.groups;
      for (const { group } of groups?.values() ?? []) {
        if (group.hosts?.isEmpty === true) groups?.delete(group.id);
      }
    }
    const changes = { changed: this.#changed, repartitioned: this.#repartitioned };
    this.#changed = new Set();
    this.#repartitioned = new Set();
    return changes;
  }

  #use(definition: NamedNetworks): void {
    const id = hostListId(definition);
    let list = this.#lists.get(id);
    if (list === undefined) {
      const networks = definition.networks.networks.map(({ cidr, except }) => ({
        block: parsePrefix(cidr),
        except: except.map(parsePrefix),
      }));
      const { attribute } = definition;
      list = { id, attribute, networks, users: 0, groups: new Map(), added: new Map() };
      this.#lists.set(id, list);
      for (const placement of this.#identities.placements())
        this.#replace(list, placement.id, placement);
    }
    list.users++;
  }

  #drop(definition: NamedNetworks): void {
    const list = this.#lists.get(hostListId(definition));
    if (list === undefined) return;
    list.users--;
    if (list.users === 0) this.#lists.delete(list.id);
  }

  #replace(list: HostList, endpoint: string, placement: Placement | undefined): void {
    const before = list.added.get(endpoint) ?? [];
    const cidrs = placement === undefined ? [] : cidrsIn(list.networks, placement.addresses);
    const after = placement === undefined ? [] : this.#entries(list, placement, cidrs);
    if (after.length === 0) list.added.delete(endpoint);
    else list.added.set(endpoint, after);
    for (const { host, cidr } of after) if (host.group.hosts?.add(cidr) === true) this.#note(host);
    for (const { host, cidr } of before) {
      if (host.group.hosts?.remove(cidr) !== true) continue;
      this.#note(host);
      if (host.group.hosts.isEmpty) this.#repartitioned.add(list.id);
    }
  }

  #entries(
    list: HostList,
    { identity: { definition } }: Placement,
    cidrs: readonly string[],
  ): readonly HostEntry[] {
    if (cidrs.length === 0) return [];
    return definition.ports
      .filter(({ attribute }) => attribute === list.attribute)
      .flatMap(({ port }) => {
        const host = this.#hostGroup(list, definition.domain, port);
        return cidrs.map((cidr) => ({ host, cidr }));
      });
  }

  #hostGroup(list: HostList, domain: string, port: number): HostGroup {
    const id = `${list.id}=${port} :${domainAttribute}=${word(domain)}`;
    let host = list.groups.get(id);
    if (host === undefined) {
      const group = new Group(id);
      group.hosts = new Counter();
      host = { domain, port, group };
      list.groups.set(id, host);
      this.#repartitioned.add(list.id);
    }
    return host;
  }

  #note({ group }: HostGroup): void {
    group.forgetEncoded();
    if (group.nodes.size > 0) this.#changed.add(group);
  }
}

/** Host prefixes of the addresses that lie in one of the networks. */
function cidrsIn(networks: readonly Network[], addresses: readonly string[]): readonly string[] {
  return addresses.flatMap((text) => {
    const address = tryParseAddress(text);
    const inside =
      address !== undefined &&
      networks.some(
        ({ block, except }) =>
          prefixContains(block, address) && !except.some((hole) => prefixContains(hole, address)),
      );
    return inside ? [formatPrefix(prefixOf(address, widthOf(address.family)))] : [];
  });
}
