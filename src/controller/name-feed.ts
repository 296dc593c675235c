// Names of Services, told for domains whose nodes answer DNS and for no others.
import type { Compute } from "../compute/graph.ts";
import { selectorOf, targetPortsOf, translateNames } from "../kubernetes/named-service.ts";
import { type DomainDns, everyNode } from "../model/endpoint.ts";
import type { NamedService } from "../model/named-service.ts";

export interface NameFeedOptions {
  readonly inputs: Pick<Compute, "setNames" | "setEndpoint">;
}

export class NameFeed {
  readonly #inputs: NameFeedOptions["inputs"];
  readonly #dns = new Map<string, DomainDns>();
  /** Services that names were told of. */
  readonly #told = new Set<string>();
  /** Services at whose addresses DNS is answered. */
  readonly #servers = new Set<string>();

  constructor({ inputs }: NameFeedOptions) {
    this.#inputs = inputs;
  }

  /** @returns whether its Services are to be set again. */
  setDomain(name: string, dns: DomainDns | undefined): boolean {
    const before = this.#dns.get(name);
    if (dns === undefined) this.#dns.delete(name);
    else this.#dns.set(name, dns);
    return before?.service !== dns?.service;
  }

  /** `key` is `namespace/name`. */
  set(key: string, service: unknown, slices: readonly unknown[], domain: string): void {
    const dns = this.#dns.get(domain);
    const names =
      dns === undefined || service === undefined
        ? undefined
        : translateNames(service, slices, domain);
    if (names !== undefined) this.#told.add(key);
    else if (!this.#told.delete(key)) return;
    this.#inputs.setNames(key, names);
    this.#setServer(key, dns?.service === key ? names : undefined, service);
  }

  /**
   * Policies see the nodes' DNS as one more pod of those that its Service selects: who may reach these may ask the node, also while
   * there are none.
   */
  #setServer(key: string, names: NamedService | undefined, service: unknown): void {
    const isServer = names !== undefined && names.addresses.length > 0;
    if (!isServer && !this.#servers.delete(key)) return;
    const [zone = "", name = ""] = key.split("/");
    const id = `${zone}/service/${name}`;
    if (!isServer) {
      this.#inputs.setEndpoint(id, undefined);
      return;
    }
    this.#servers.add(key);
    this.#inputs.setEndpoint(id, {
      id,
      zone,
      labels: selectorOf(service),
      namedPorts: targetPortsOf(service),
      domain: names.domain,
      addresses: names.addresses,
      mac: "",
      node: everyNode,
    });
  }
}
