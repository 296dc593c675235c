// LoadBalancers as virtual services: who their members are now, which of them are healthy, and who looks after that.
import { equalJson } from "../apimachinery/json.ts";
import type { LoadBalancer } from "../kinds/load-balancer.ts";
import { nameOfAddress } from "../kinds/load-balancer-address.ts";
import { translateSelector } from "../kubernetes/label-selector.ts";
import type { Endpoint } from "../model/endpoint.ts";
import type { HealthCheck, HealthVerdict } from "../model/health-check.ts";
import { matchesSelector } from "../model/selector.ts";
import type { Backend, VirtualService } from "../model/service.ts";
import { type Family, formatAddress, tryParseAddress } from "../net/address.ts";
import { hashOf } from "../southbound/digest.ts";
import type { NodeHealth } from "./node-health.ts";

type Spec = LoadBalancer["spec"];
type Status = NonNullable<LoadBalancer["status"]>;
type Check = NonNullable<Spec["healthCheck"]>;
type Health = NonNullable<Status["members"]>[number]["health"];

/** Something with addresses that a member may name. */
export type KnownEndpoint = Pick<Endpoint, "labels" | "addresses" | "node">;

export type StoredLoadBalancer = Pick<LoadBalancer, "spec" | "status">;

export interface LoadBalancerMembersOptions {
  readonly domainOf: (namespace: string) => string;
  readonly nodes: () => Iterable<string>;
  readonly healthOf: (node: string) => NodeHealth;
  readonly setService: (id: string, service: VirtualService | undefined) => void;
  readonly setCheck: (id: string, check: HealthCheck | undefined) => void;
  /** What is to stand on the object is other than before. */
  readonly onStatus: (key: string) => void;
}

interface Member {
  /** Canonical. */
  readonly address: string;
  readonly family: Family;
  readonly node: string | undefined;
  readonly weight: number;
}

interface Found {
  health: Health;
  message: string;
}

interface Known {
  readonly spec: Spec;
  /** Its virtual addresses. */
  readonly addresses: readonly string[];
  readonly members: readonly Member[];
  readonly problems: readonly string[];
  /** Address → what was last found. */
  readonly found: Map<string, Found>;
  /** Ids of what it is in the model. */
  services: readonly string[];
  checks: readonly string[];
  told: string;
}

/** Of members that are on no node. */
const checkersOfForeign = 3;

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

function parseStatuses(texts: readonly string[]): NonNullable<HealthCheck["statuses"]> {
  return texts.map((text) => {
    const [from = "", to = from] = text.split("-");
    return { from: Number(from), to: Number(to) };
  });
}

export class LoadBalancerMembers {
  readonly #options: LoadBalancerMembersOptions;
  readonly #balancers = new Map<string, Known>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #endpoints = new Map<string, Map<string, KnownEndpoint>>();
  /** Check → its load balancer and the member's address. */
  readonly #checked = new Map<string, { readonly key: string; readonly address: string }>();
  /** Check → node → what it says. */
  readonly #verdicts = new Map<string, Map<string, HealthVerdict>>();

  constructor(options: LoadBalancerMembersOptions) {
    this.#options = options;
  }

  set(key: string, balancer: StoredLoadBalancer | undefined): void {
    const namespace = namespaceOf(key);
    const own = this.#byNamespace.get(namespace) ?? new Set<string>();
    if (balancer) own.add(key);
    else own.delete(key);
    if (own.size === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, own);
    const before = this.#balancers.get(key);
    if (balancer === undefined) {
      this.#forget(before);
      this.#balancers.delete(key);
      return;
    }
    const { spec, status = {} } = balancer;
    const addresses = status.addresses ?? [];
    const isSame = equalJson(before?.spec, spec) && equalJson(before?.addresses, addresses);
    if (isSame) return;
    this.#renew(key, spec, addresses, before ?? remembered(status));
  }

  /** A pod's, or an Endpoint object's, by `namespace/name`. */
  setEndpoint(key: string, endpoint: KnownEndpoint | undefined): void {
    const namespace = namespaceOf(key);
    const own = this.#endpoints.get(namespace) ?? new Map<string, KnownEndpoint>();
    if (endpoint) own.set(key, endpoint);
    else own.delete(key);
    if (own.size === 0) this.#endpoints.delete(namespace);
    else this.#endpoints.set(namespace, own);
    for (const balancer of this.#byNamespace.get(namespace) ?? []) this.#again(balancer);
  }

  /** A node's agent is heard again or not any more, or the node has come or gone: others may have to look. */
  nodesChanged(): void {
    for (const key of this.#balancers.keys()) this.#again(key);
  }

  domainChanged(namespace: string): void {
    for (const key of this.#byNamespace.get(namespace) ?? []) this.#again(key);
  }

  /** What a node's checks have found. */
  take(node: string, verdicts: readonly HealthVerdict[]): void {
    const changed = new Set<string>();
    for (const verdict of verdicts) {
      const checked = this.#checked.get(verdict.check);
      if (checked === undefined) continue;
      const own = this.#verdicts.get(verdict.check) ?? new Map<string, HealthVerdict>();
      this.#verdicts.set(verdict.check, own.set(node, verdict));
      changed.add(checked.key);
    }
    for (const key of changed) this.#again(key);
  }

  /** What is to stand on the object. */
  statusOf(key: string): Pick<Status, "members" | "healthy" | "problems"> | undefined {
    const known = this.#balancers.get(key);
    if (known === undefined) return undefined;
    // Those of a family that it has no address of take no part.
    const families = new Set(known.addresses.map(familyOf));
    const taking = known.members.filter(
      ({ family }) => families.size === 0 || families.has(family),
    );
    const members = taking.map(({ address, node }) => {
      const { health, message } = this.#foundOf(known, address);
      return {
        address,
        ...(node !== undefined && { node }),
        health,
        ...(message !== "" && { message }),
      };
    });
    const healthy = members.filter(({ health }) => health === "Healthy").length;
    return {
      members,
      healthy: `${healthy}/${members.length}`,
      ...(known.problems.length > 0 && { problems: [...known.problems] }),
    };
  }

  #again(key: string): void {
    const known = this.#balancers.get(key);
    if (known) this.#renew(key, known.spec, known.addresses, known);
  }

  /** O(members). */
  #renew(
    key: string,
    spec: Spec,
    addresses: readonly string[],
    before: Pick<Known, "found" | "services" | "checks" | "told">,
  ): void {
    const { members, problems } = this.#membersOf(key, spec);
    const { found, services, checks, told } = before;
    const known: Known = { spec, addresses, members, problems, found, services, checks, told };
    this.#balancers.set(key, known);
    this.#look(key, known);
    for (const address of found.keys()) {
      if (!members.some((member) => member.address === address)) found.delete(address);
    }
    this.#tell(key, known);
    const status = JSON.stringify(this.statusOf(key));
    if (status === known.told) return;
    known.told = status;
    this.#options.onStatus(key);
  }

  #membersOf(
    key: string,
    { members }: Spec,
  ): { readonly members: readonly Member[]; readonly problems: readonly string[] } {
    const found = new Map<string, Member>();
    const problems: string[] = [];
    const namespace = namespaceOf(key);
    const endpoints = this.#endpoints.get(namespace) ?? new Map<string, KnownEndpoint>();
    const add = (addresses: readonly string[], node: string | undefined, weight: number): void => {
      for (const text of addresses) {
        const address = tryParseAddress(text);
        if (address === undefined) continue;
        const own = formatAddress(address);
        // The first that names an address decides about it.
        if (found.has(own)) continue;
        found.set(own, { address: own, family: address.family, node, weight });
      }
    };
    for (const { podSelector, endpoint, address, weight = 1 } of members) {
      if (address !== undefined) add([address], undefined, weight);
      if (endpoint !== undefined) {
        const named = endpoints.get(`${namespace}/${endpoint}`);
        if (named === undefined) problems.push(`endpoint "${endpoint}" does not exist`);
        else add(named.addresses, named.node, weight);
      }
      if (podSelector === undefined) continue;
      const { selector } = translateSelector(podSelector, "");
      const matching = [...endpoints].filter(([, { labels }]) => matchesSelector(selector, labels));
      for (const [, { addresses, node }] of matching.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        add(addresses, node, weight);
      }
    }
    return { members: [...found.values()], problems };
  }

  /** Has the nodes look after the members, and takes in what they have found. */
  #look(key: string, known: Known): void {
    const { spec, members, found } = known;
    const { healthCheck: check } = spec;
    if (check === undefined) found.clear();
    const wanted = new Map<string, HealthCheck>();
    const families = new Set(known.addresses.map(familyOf));
    for (const member of check === undefined ? [] : members) {
      if (!families.has(member.family) || check === undefined) continue;
      const made = this.#checkOf(key, spec, check, member);
      wanted.set(made.id, made);
      this.#checked.set(made.id, { key, address: member.address });
      const verdict = this.#verdictOf(made);
      if (verdict === undefined) continue;
      const health = verdict.healthy ? "Healthy" : "Unhealthy";
      found.set(member.address, { health, message: verdict.healthy ? "" : verdict.message });
    }
    for (const id of known.checks) if (!wanted.has(id)) this.#endCheck(id);
    for (const [id, made] of wanted) this.#options.setCheck(id, made);
    known.checks = [...wanted.keys()];
  }

  #checkOf(key: string, spec: Spec, check: Check, member: Member): HealthCheck {
    const [first] = spec.ports;
    const port = check.port ?? first?.targetPort ?? first?.port ?? 0;
    const address = tryParseAddress(member.address) ?? { family: 4, bits: 0n };
    const protocol = check.protocol ?? "TCP";
    const id = `${key} ${nameOfAddress(address)} ${port}`;
    return {
      id,
      checkers: this.#checkersOf(id, member.node),
      address: member.address,
      port,
      protocol,
      ...(protocol === "HTTP" && {
        path: check.path ?? "/",
        ...(check.host !== undefined && { host: check.host }),
        statuses: parseStatuses(check.expectedStatuses ?? ["200-399"]),
      }),
      intervalMs: (check.intervalSeconds ?? 5) * 1_000,
      timeoutMs: (check.timeoutSeconds ?? 2) * 1_000,
      healthyThreshold: check.healthyThreshold ?? 2,
      unhealthyThreshold: check.unhealthyThreshold ?? 3,
    };
  }

  /** A member's own node; a few others where there is none, or where it does not answer. */
  #checkersOf(id: string, node: string | undefined): readonly string[] {
    const { nodes, healthOf } = this.#options;
    if (node !== undefined && healthOf(node) !== "silent") return [node];
    const able = [...nodes()].filter((each) => healthOf(each) !== "silent");
    const ranked = able.toSorted((a, b) => (hashOf(`${a} ${id}`) > hashOf(`${b} ${id}`) ? -1 : 1));
    return ranked.slice(0, checkersOfForeign).toSorted();
  }

  /** What at least half of those say who look; `undefined` while nobody has said anything. */
  #verdictOf({ id, checkers }: HealthCheck): HealthVerdict | undefined {
    const said = this.#verdicts.get(id);
    const verdicts = checkers
      .map((node) => said?.get(node))
      .filter((verdict) => verdict !== undefined);
    const good = verdicts.filter(({ healthy }) => healthy);
    return good.length * 2 >= verdicts.length && good.length > 0
      ? good[0]
      : verdicts.find(({ healthy }) => !healthy);
  }

  #endCheck(id: string): void {
    this.#checked.delete(id);
    this.#verdicts.delete(id);
    this.#options.setCheck(id, undefined);
  }

  #foundOf({ spec, found }: Known, address: string): Found {
    if (spec.healthCheck === undefined) return { health: "Healthy", message: "" };
    return found.get(address) ?? { health: "Unknown", message: "" };
  }

  #tell(key: string, known: Known): void {
    const { spec, members, addresses } = known;
    const used = members.filter(({ weight }) => weight > 0);
    const isHealthy = ({ address }: Member): boolean =>
      this.#foundOf(known, address).health === "Healthy";
    const services: VirtualService[] = [];
    for (const virtual of addresses) {
      const family = familyOf(virtual);
      const own = used.filter((member) => member.family === family);
      const healthy = own.filter(isHealthy);
      const isFallback = healthy.length === 0 && spec.whenAllUnhealthy !== "Reject";
      services.push(...this.#servicesOf(key, spec, virtual, isFallback ? own : healthy));
    }
    const ids = new Set(services.map(({ id }) => id));
    for (const id of known.services) if (!ids.has(id)) this.#options.setService(id, undefined);
    for (const service of services) this.#options.setService(service.id, service);
    known.services = [...ids];
  }

  #servicesOf(
    key: string,
    { ports, affinitySeconds }: Spec,
    virtual: string,
    members: readonly Member[],
  ): readonly VirtualService[] {
    const family = familyOf(virtual);
    return ports.map(({ name = "", protocol = "TCP", port, targetPort = port }) => ({
      id: `LoadBalancer ${key} ${protocol}/${port} IPv${family}`,
      name: key,
      portName: name,
      domain: this.#options.domainOf(namespaceOf(key)),
      protocol,
      family,
      frontends: [{ address: virtual, port, scope: "external" }],
      internalPolicy: "Cluster",
      externalPolicy: "Cluster",
      ...(affinitySeconds !== undefined && { affinitySeconds }),
      backends: members.map(({ address, node, weight }): Backend => ({
        address,
        port: targetPort,
        node,
        ready: true,
        ...(weight !== 1 && { weight }),
      })),
    }));
  }

  #forget(known: Known | undefined): void {
    for (const id of known?.services ?? []) this.#options.setService(id, undefined);
    for (const id of known?.checks ?? []) this.#endCheck(id);
  }
}

function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

/** What stood on the object before this controller started: nobody has looked since. */
function remembered(status: Status): Pick<Known, "found" | "services" | "checks" | "told"> {
  const found = new Map<string, Found>();
  for (const { address, health, message = "" } of status.members ?? []) {
    found.set(address, { health, message });
  }
  return { found, services: [], checks: [], told: "" };
}
