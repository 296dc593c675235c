// What the node answers from its own knowledge: the cluster's zone, and the names of the cluster's addresses.
import type { Answer } from "dns-packet";
import {
  type Address,
  type Prefix,
  formatAddress,
  prefixContains,
  widthOf,
} from "../net/address.ts";
import type { Query } from "./query.ts";
import type { Reply } from "./reply.ts";
import { parseReverseName } from "./reverse-name.ts";
import type { NameData, Server, ServiceZone } from "./service-zone.ts";
import { rcodes, types } from "./wire.ts";

export interface AuthorityOptions {
  /** The zone's name in lower case, e.g. `cluster.local`. */
  readonly zone: string;
  /** Whose addresses are the cluster's alone: unknown ones have no name. */
  readonly networks: readonly Prefix[];
  /** At which the node answers. */
  readonly serverAddresses: readonly Address[];
  readonly ttlSeconds: number;
  /** Rises with every change. */
  readonly serial: number;
}

export type Verdict =
  | { readonly kind: "reply"; readonly reply: Reply }
  /** The name leads out of the zone; what it leads to is to be added. */
  | { readonly kind: "alias"; readonly reply: Reply; readonly target: string }
  | { readonly kind: "elsewhere" };

/** Names that lead to names; more is a circle. */
const longestChain = 8;

const serverLabels = ["ns", "dns"] as const;

/** RFC 8482 section 4.2. */
function refuseAll(name: string): Answer {
  return { type: "HINFO", name, ttl: 3600, data: { cpu: "RFC8482", os: "" } };
}

export class Authority {
  readonly #zone: ServiceZone;
  readonly #options: AuthorityOptions;
  /** Where lists of equal records begin, so that clients spread. */
  #rotation = 0;

  constructor(zone: ServiceZone, options: AuthorityOptions) {
    this.#zone = zone;
    this.#options = options;
  }

  answer({ name, type }: Pick<Query, "name" | "type">): Verdict {
    if (type === types.ANY) return this.#reply({ answers: [refuseAll(name)] });
    const labels = this.#labelsOf(name);
    if (labels !== undefined) return this.#answerInZone(name, labels, type);
    return this.#answerReverse(name, type) ?? { kind: "elsewhere" };
  }

  /** Before the zone's own; `undefined` where the name is not in it. */
  #labelsOf(name: string): readonly string[] | undefined {
    const { zone } = this.#options;
    if (name === zone) return [];
    return name.endsWith(`.${zone}`) ? name.slice(0, -zone.length - 1).split(".") : undefined;
  }

  #answerInZone(name: string, first: readonly string[], type: number): Verdict {
    const answers: Answer[] = [];
    let owner = name;
    let labels = first;
    for (let step = 0; step < longestChain; step++) {
      const data = this.#find(labels);
      if (data === undefined) return this.#negative(rcodes.nameError, answers);
      if (data.kind !== "alias") return this.#answerFrom(owner, { labels, data, type }, answers);
      const target = data.target.toLowerCase().replace(/\.$/, "");
      answers.push({ type: "CNAME", name: owner, ttl: this.#options.ttlSeconds, data: target });
      if (type === types.CNAME) return this.#reply({ answers });
      const inZone = this.#labelsOf(target);
      if (inZone === undefined) {
        const { reply } = this.#reply({ answers });
        return { kind: "alias", reply, target };
      }
      owner = target;
      labels = inZone;
    }
    return this.#reply({ rcode: rcodes.serverFailure, answers });
  }

  #find(labels: readonly string[]): NameData | undefined {
    const own = labels.join(".");
    if (own === serverLabels.join(".")) {
      return { kind: "addresses", addresses: this.#options.serverAddresses };
    }
    return own === serverLabels[1] ? { kind: "empty" } : this.#zone.find(labels);
  }

  #answerFrom(
    owner: string,
    found: {
      readonly labels: readonly string[];
      readonly data: NameData;
      readonly type: number;
    },
    before: readonly Answer[],
  ): Verdict {
    const { labels, data, type } = found;
    const own = labels.length === 0 ? this.#apex(type) : this.#recordsOf(owner, data, type);
    if (own.length === 0) return this.#negative(rcodes.noError, before);
    const additionals = data.kind === "servers" ? data.servers.flatMap((s) => this.#hostOf(s)) : [];
    return this.#reply({ answers: [...before, ...this.#rotated(own)], additionals });
  }

  #apex(type: number): readonly Answer[] {
    const { zone, ttlSeconds: ttl } = this.#options;
    if (type === types.SOA) return [this.#soa];
    return type === types.NS
      ? [{ type: "NS", name: zone, ttl, data: this.#nameOf(serverLabels) }]
      : [];
  }

  #recordsOf(name: string, data: NameData, type: number): readonly Answer[] {
    const { ttlSeconds: ttl } = this.#options;
    switch (data.kind) {
      case "addresses":
        return this.#addressRecords(name, data.addresses).filter(
          (record) => types[record.type] === type,
        );
      case "servers": {
        if (type !== types.SRV) return [];
        const weight = Math.max(1, Math.floor(100 / data.servers.length));
        return data.servers.map(({ port, host }) => {
          const target = this.#nameOf(host);
          return { type: "SRV", name, ttl, data: { priority: 0, weight, port, target } };
        });
      }
      case "text":
        return type === types.TXT ? [{ type: "TXT", name, ttl, data: data.text }] : [];
      case "alias":
      case "empty":
        return [];
    }
  }

  #addressRecords(name: string, addresses: readonly Address[]) {
    return addresses.map((address) => ({
      type: address.family === 4 ? ("A" as const) : ("AAAA" as const),
      name,
      ttl: this.#options.ttlSeconds,
      data: formatAddress(address),
    }));
  }

  #hostOf({ host, addresses }: Server): readonly Answer[] {
    return this.#addressRecords(this.#nameOf(host), addresses);
  }

  #rotated(records: readonly Answer[]): readonly Answer[] {
    if (records.length === 1) return records;
    const start = this.#rotation++ % records.length;
    return [...records.slice(start), ...records.slice(0, start)];
  }

  #answerReverse(name: string, type: number): Verdict | undefined {
    const prefix = parseReverseName(name);
    if (prefix === undefined) return undefined;
    const names = prefix.length === widthOf(prefix.family) ? this.#zone.namesOf(prefix) : [];
    if (names.length > 0 && type === types.PTR) {
      const { zone, ttlSeconds: ttl } = this.#options;
      const records = names.map((own): Answer => ({
        type: "PTR",
        name,
        ttl,
        data: `${own}.${zone}`,
      }));
      return this.#reply({ answers: records });
    }
    const { networks } = this.#options;
    if (names.length === 0 && !networks.some((network) => prefixContains(network, prefix))) {
      return undefined;
    }
    // Above an address nothing says whether names are below.
    const exists = names.length > 0 || prefix.length < widthOf(prefix.family);
    return this.#negative(exists ? rcodes.noError : rcodes.nameError, []);
  }

  #nameOf(labels: readonly string[]): string {
    return [...labels, this.#options.zone].join(".");
  }

  /** RFC 2308 section 3: the SOA record says how long that may be believed. */
  #negative(rcode: number, answers: readonly Answer[]): Verdict & { readonly kind: "reply" } {
    return this.#reply({ rcode, answers, authorities: [this.#soa] });
  }

  get #soa(): Answer {
    const { zone, ttlSeconds, serial } = this.#options;
    const data = {
      mname: this.#nameOf(serverLabels),
      rname: `hostmaster.${zone}`,
      serial,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttlSeconds,
    };
    return { type: "SOA", name: zone, ttl: ttlSeconds, data };
  }

  #reply(parts: Partial<Reply>): Verdict & { readonly kind: "reply" } {
    const none = { rcode: rcodes.noError, authoritative: true };
    return {
      kind: "reply",
      reply: { ...none, answers: [], authorities: [], additionals: [], ...parts },
    };
  }
}
