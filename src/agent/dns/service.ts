// DNS on this node, joined: the names that a controller tells, the sockets at the addresses of the cluster's DNS, and the flows
// that bring the pods' queries to them. It works from what the agent has stored, so it needs no controller.
import { readFile } from "node:fs/promises";
import { Authority } from "../../dns/authority.ts";
import { serversFor } from "../../dns/forwarders.ts";
import type { DomainDns } from "../../model/endpoint.ts";
import { type Address, formatAddress, tryParseAddress, tryParsePrefix } from "../../net/address.ts";
import { type SocketAddress, tryParseSocketAddress } from "../../net/socket-address.ts";
import { addFlow, deleteFlow } from "../../openflow/flow-mod.ts";
import { renderResolverBeat } from "../../pipeline/resolver-beat.ts";
import { dnsPort } from "../../pipeline/watch-feature.ts";
import type { Log } from "../../runtime/log.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import type { Delta, DomainResource, ResourceKey } from "../../southbound/resources.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";
import type { AgentConfig } from "../config.ts";
import { DnsAnswers } from "./answers.ts";
import { applyDnsHost, hasDnsHost } from "./host.ts";
import { DnsMetrics } from "./metrics.ts";
import { DnsNames } from "./names.ts";
import { Resolver } from "./resolver.ts";
import { DnsServer } from "./server.ts";
import { Upstreams } from "./upstream.ts";
import type { NodeState } from "../node-state.ts";
import { ownPorts } from "../attach/switch-ports.ts";

/** The flows end so long after the agent has; then the Service's backends are asked again. */
const beatSeconds = 6;
const beatIntervalMs = 2_000;
const upstreamTimeoutsMs = [800, 1_400];
const upstreamBudgetMs = 4_400;
const upstreamLimit = 1_000;
const resolverFile = "/etc/resolv.conf";

export interface DnsServiceOptions {
  readonly config: Pick<AgentConfig, "gatewayDomain" | "datapathType">;
  readonly state: NodeState;
  readonly metrics: Metrics;
  readonly log: Log;
  /** `tend` is to be called. */
  readonly onDue: () => void;
}

export class DnsService implements AsyncDisposable {
  readonly #options: DnsServiceOptions;
  readonly #server: DnsServer;
  readonly #answers: DnsAnswers;
  readonly #resolver: Resolver;
  readonly #metrics: DnsMetrics;
  #domain: DomainResource | undefined;
  #names: DnsNames;
  #authority: Authority;
  #serial = Math.floor(Date.now() / 1_000);
  /** Of the node's own resolver. */
  #nodeServers: readonly SocketAddress[] = [];
  #client: OpenFlowClient | undefined;
  #beating: NodeJS.Timeout | undefined;
  /** Whether the node may have addresses or rules of this. */
  #isOnHost = true;

  constructor(options: DnsServiceOptions) {
    this.#options = options;
    this.#names = new DnsNames(options.config.gatewayDomain);
    this.#metrics = new DnsMetrics(options.metrics, () => ({
      listening: this.addresses.length > 0,
      names: this.#names.zone.services,
      cachedAnswers: this.#resolver.cache.length,
    }));
    const upstreams = new Upstreams({
      timeoutsMs: upstreamTimeoutsMs,
      budgetMs: upstreamBudgetMs,
      limit: upstreamLimit,
      onExchange: (result, durationMs) => this.#metrics.exchanged(result, durationMs),
    });
    this.#resolver = new Resolver({
      upstreams,
      serversFor: (name) => this.#serversFor(name),
      now: () => performance.now(),
    });
    this.#authority = this.#newAuthority();
    this.#answers = new DnsAnswers({
      authority: () => this.#authority,
      resolver: this.#resolver,
      metrics: this.#metrics,
    });
    this.#server = new DnsServer({ port: dnsPort, answers: this.#answers, log: options.log });
  }

  /** At which the node answers now. */
  get addresses(): readonly string[] {
    return this.#server.addresses;
  }

  /** Services that it answers for. */
  get services(): number {
    return this.#names.zone.services;
  }

  /** Takes in what the state holds. */
  load(): void {
    const { state, config } = this.#options;
    this.#domain = state.get("domain", config.gatewayDomain);
    this.#names = new DnsNames(config.gatewayDomain);
    if (this.#settings !== undefined) {
      for (const kind of ["record", "host", "endpoint"] as const) {
        for (const resource of state.all(kind)) this.#names.set(resource);
      }
    }
    this.#resolver.forget();
    this.#changed();
    this.#options.onDue();
  }

  /** Once the state has taken the change. O(changed), but for a change of the domain. */
  update({ upserts, deletes }: Delta): void {
    const { gatewayDomain } = this.#options.config;
    const isDomain = ({ kind, id }: ResourceKey): boolean =>
      kind === "domain" && id === gatewayDomain;
    if (upserts.some(isDomain) || deletes.some(isDomain)) {
      this.load();
      return;
    }
    if (this.#settings === undefined) return;
    const before = this.#wanted().join();
    const set = upserts.map((resource) => this.#names.set(resource));
    const gone = deletes.map((key) => this.#names.delete(key));
    if (![...set, ...gone].includes(true)) return;
    this.#changed();
    if (this.#wanted().join() !== before) this.#options.onDue();
  }

  /** A new connection to the switch. */
  connected(client: OpenFlowClient): void {
    this.#client = client;
    void this.#beat();
  }

  /** Makes the node answer as it is to. @throws {CommandError} @throws {Error} of a socket */
  async tend(): Promise<void> {
    const wanted = this.#wanted();
    if (wanted.length === 0 && !this.#isOnHost) return;
    const plan = { port: ownPorts.gateway.name, addresses: wanted };
    // The dummy datapath has ports, but no network interfaces behind them.
    if (this.#options.config.datapathType !== "dummy" && !(await hasDnsHost(plan))) {
      await applyDnsHost(plan);
    }
    this.#isOnHost = wanted.length > 0;
    await this.#readNodeServers(wanted);
    const before = this.addresses.join();
    try {
      await this.#server.listen(wanted);
    } finally {
      if (this.addresses.join() !== before) {
        this.#options.log.info({ addresses: this.addresses }, "answering DNS");
        await this.#withdraw(before.split(",").filter((each) => !this.addresses.includes(each)));
      }
      if (this.addresses.length > 0) {
        this.#beating ??= setInterval(() => void this.#beat(), beatIntervalMs);
      }
      await this.#beat();
    }
  }

  /** From now on the Service's backends are asked. */
  async leave(): Promise<void> {
    clearInterval(this.#beating);
    await this.#withdraw(this.addresses);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#beating);
    await this.#server[Symbol.asyncDispose]();
  }

  get #settings(): DomainDns | undefined {
    return this.#domain?.dns;
  }

  /** Addresses at which the node is to answer. */
  #wanted(): readonly string[] {
    const service = this.#settings && this.#names.zone.service(this.#settings.service);
    return (service?.addresses ?? []).flatMap((text) => {
      const address = tryParseAddress(text);
      return address === undefined ? [] : [formatAddress(address)];
    });
  }

  #changed(): void {
    this.#serial = (this.#serial + 1) >>> 0;
    this.#authority = this.#newAuthority();
    this.#answers.forget();
  }

  #newAuthority(): Authority {
    const { pools = [], serviceCidrs = [] } = this.#domain ?? {};
    return new Authority(this.#names.zone, {
      zone: this.#settings?.zone ?? "",
      networks: [...pools, ...serviceCidrs].flatMap((text) => tryParsePrefix(text) ?? []),
      serverAddresses: parseAll(this.#wanted()),
      ttlSeconds: this.#settings?.ttlSeconds ?? 0,
      serial: this.#serial,
    });
  }

  #serversFor(name: string): readonly SocketAddress[] {
    const { upstreams = [], forwarders = [] } = this.#settings ?? {};
    const read = (texts: readonly string[]): readonly SocketAddress[] =>
      texts
        .flatMap((text) => tryParseSocketAddress(text, dnsPort) ?? [])
        .filter((server) => !this.#isOwn(server));
    const otherwise = upstreams.length > 0 ? read(upstreams) : this.#nodeServers;
    const known = forwarders.map(({ zone, servers }) => ({ zone, servers: read(servers) }));
    return serversFor(name, known, otherwise);
  }

  /** Whoever asks himself never ends. */
  #isOwn({ address, port }: SocketAddress): boolean {
    return port === dnsPort && this.addresses.includes(address);
  }

  async #readNodeServers(own: readonly string[]): Promise<void> {
    const text = await readFile(resolverFile, "utf8").catch(() => "");
    const servers = parseResolverFile(text).filter(({ address }) => !own.includes(address));
    this.#nodeServers = servers;
  }

  async #beat(): Promise<void> {
    const flows = this.#flows(this.addresses);
    if (flows.length === 0) return;
    try {
      await this.#client?.bundle(flows.map(addFlow));
    } catch (err) {
      this.#options.log.debug({ err }, "DNS queries are not brought to the node");
    }
  }

  async #withdraw(addresses: readonly string[]): Promise<void> {
    const flows = this.#flows(addresses);
    if (flows.length === 0) return;
    try {
      await this.#client?.bundle(flows.map(deleteFlow));
    } catch (err) {
      this.#options.log.debug({ err }, "DNS queries are brought to the node for some seconds more");
    }
  }

  #flows(addresses: readonly string[]) {
    if (this.#domain === undefined) return [];
    const domain = this.#options.state.numbers.numberOf("domain", this.#domain.id);
    return renderResolverBeat({ domain, addresses: parseAll(addresses), seconds: beatSeconds });
  }
}

function parseAll(texts: readonly string[]): readonly Address[] {
  return texts.flatMap((text) => tryParseAddress(text) ?? []);
}

/** resolv.conf(5); an address of one link only has a zone, and is left out. */
function parseResolverFile(text: string): readonly SocketAddress[] {
  return text.split("\n").flatMap((line) => {
    const [word, server = ""] = line.trim().split(/\s+/);
    const address = word === "nameserver" ? tryParseAddress(server) : undefined;
    return address === undefined ? [] : [{ address: formatAddress(address), port: dnsPort }];
  });
}
