// Keeps every address that is given out announced by one node that can: one that is ready, whose agent answers, that its pool allows, and
// that has a backend where the external traffic policy is Local. What comes of the election is data for the agents; how an address is
// advertised is theirs to do.
import type { LoadBalancerAddress } from "../kinds/load-balancer-address.ts";
import type { LoadBalancerPool } from "../kinds/load-balancer-pool.ts";
import { translateSelector } from "../kubernetes/label-selector.ts";
import type { Announcement } from "../model/announcement.ts";
import type { Labels } from "../model/endpoint.ts";
import type { LabelSelector } from "../model/policy.ts";
import { matchesSelector } from "../model/selector.ts";
import { electAnnouncer } from "./announcer-election.ts";
import type { NodeHealth } from "./node-health.ts";

/** Kubernetes' well-known label of nodes that no load balancer is to send to. */
const excludedLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

export interface AnnouncingNode {
  readonly labels: Labels;
  /** Whether its condition Ready does not say otherwise. */
  readonly isReady: boolean;
}

/** How an election came out. */
export interface Election {
  readonly node: string | undefined;
  /** Why no node announces the address. */
  readonly message: string | undefined;
}

export interface AnnouncementsOptions {
  readonly healthOf: (node: string) => NodeHealth;
  readonly announce: (id: string, announcement: Announcement | undefined) => void;
  /** The address is announced by another node than before, or by none. */
  readonly onElected: (id: string, election: Election) => void;
}

interface KnownPool {
  readonly protocol: "L2" | "None";
  readonly nodes: LabelSelector | undefined;
  readonly interfaces: readonly string[] | undefined;
}

interface KnownAddress {
  readonly spec: LoadBalancerAddress["spec"];
  /** Who announces it. */
  present: string | undefined;
  /** What was last told. */
  told: string;
}

const unknownPool: KnownPool = { protocol: "L2", nodes: undefined, interfaces: undefined };

export class Announcements {
  readonly #options: AnnouncementsOptions;
  readonly #pools = new Map<string, KnownPool>();
  readonly #addresses = new Map<string, KnownAddress>();
  readonly #nodes = new Map<string, AnnouncingNode>();
  /** Holder → nodes on which it has a ready backend. */
  readonly #backends = new Map<string, ReadonlySet<string>>();
  /** Holder → addresses. */
  readonly #held = new Map<string, Set<string>>();
  #isStarted = false;

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
  }

  /** Names of the nodes. */
  get nodes(): Iterable<string> {
    return this.#nodes.keys();
  }

  /** Everything is known now. */
  start(): void {
    this.#isStarted = true;
    this.#electAll();
  }

  setPool(name: string, spec: LoadBalancerPool["spec"] | undefined): void {
    if (spec === undefined) {
      // What is in use is announced as before.
      return;
    }
    const { protocol = "L2", nodeSelector, interfaces } = spec.announcement ?? {};
    const nodes = nodeSelector && translateSelector(nodeSelector, "").selector;
    this.#pools.set(name, { protocol, nodes, interfaces });
    for (const [id, address] of this.#addresses) if (address.spec.pool === name) this.#elect(id);
  }

  setAddress(id: string, object: Pick<LoadBalancerAddress, "spec" | "status"> | undefined): void {
    const before = this.#addresses.get(id);
    for (const { kind, namespace, name } of before?.spec.holders ?? []) {
      const key = `${kind} ${namespace}/${name}`;
      const held = this.#held.get(key);
      held?.delete(id);
      if (held?.size === 0) this.#held.delete(key);
    }
    if (object === undefined) {
      this.#addresses.delete(id);
      if (before?.told !== undefined && before.told !== "") {
        this.#options.announce(id, undefined);
      }
      return;
    }
    // Who it was before this controller started is written on it; later this controller knows better.
    const present = before === undefined ? object.status?.node : before.present;
    this.#addresses.set(id, { spec: object.spec, present, told: before?.told ?? "" });
    for (const { kind, namespace, name } of object.spec.holders) {
      const key = `${kind} ${namespace}/${name}`;
      this.#held.set(key, (this.#held.get(key) ?? new Set()).add(id));
    }
    this.#elect(id);
  }

  setNode(name: string, node: AnnouncingNode | undefined): void {
    const before = this.#nodes.get(name);
    if (JSON.stringify(before) === JSON.stringify(node)) return;
    if (node) this.#nodes.set(name, node);
    else this.#nodes.delete(name);
    this.#electAll();
  }

  /** Its agent is heard again, or is not any more. */
  healthChanged(node: string): void {
    const isWell = this.#options.healthOf(node) === "well";
    for (const [id, { present }] of this.#addresses) {
      if (isWell ? present === undefined || this.#isDark(present) : present === node) {
        this.#elect(id);
      }
    }
  }

  /** Nodes on which the holder has a backend that is ready; only those that have one take connections where it is Local. */
  setBackends(holder: string, nodes: ReadonlySet<string>): void {
    const before = this.#backends.get(holder);
    if (nodes.size === (before?.size ?? 0) && [...nodes].every((node) => before?.has(node))) return;
    if (nodes.size === 0) this.#backends.delete(holder);
    else this.#backends.set(holder, nodes);
    for (const id of this.#held.get(holder) ?? []) this.#elect(id);
  }

  #isDark(node: string): boolean {
    return this.#options.healthOf(node) === "silent";
  }

  #electAll(): void {
    for (const id of this.#addresses.keys()) this.#elect(id);
  }

  #elect(id: string): void {
    const known = this.#addresses.get(id);
    if (known === undefined || !this.#isStarted) return;
    const pool = this.#pools.get(known.spec.pool) ?? unknownPool;
    const election = this.#run(known, pool);
    const { node } = election;
    const announcement: Announcement | undefined =
      node === undefined
        ? undefined
        : {
            address: known.spec.address,
            protocol: "L2",
            nodes: [node],
            ...(pool.interfaces && { interfaces: pool.interfaces }),
          };
    const told = announcement === undefined ? "" : JSON.stringify(announcement);
    const isNews = known.present !== node || (node === undefined && known.told !== "none");
    if (told !== known.told && (told !== "" || known.told !== "none")) {
      this.#options.announce(id, announcement);
    }
    known.present = node;
    known.told = told === "" ? "none" : told;
    if (isNews) this.#options.onElected(id, election);
  }

  #run({ spec, present }: KnownAddress, pool: KnownPool): Election {
    if (pool.protocol === "None") {
      return { node: undefined, message: "its pool is not announced" };
    }
    const able = [...this.#nodes].filter(([, { labels, isReady }]) => {
      const isAllowed = pool.nodes === undefined || matchesSelector(pool.nodes, labels);
      return isReady && isAllowed && !Object.hasOwn(labels, excludedLabel);
    });
    if (able.length === 0) {
      return { node: undefined, message: "no node is ready and may announce it" };
    }
    const local = this.#localNodes(spec);
    const candidates = able
      .filter(([name]) => local === undefined || local.has(name))
      .map(([node]) => {
        const health = this.#options.healthOf(node);
        // Until it is known who is well, whoever has announced an address does so.
        return { node, isWell: health === "well" || (health === "unknown" && node === present) };
      });
    if (candidates.length === 0) {
      return { node: undefined, message: "no node that may announce it has a ready backend" };
    }
    const node = electAnnouncer(spec.address, candidates, present);
    const message = node === undefined ? "no node's agent answers that may announce it" : undefined;
    return { node, message };
  }

  /** `undefined` where every node takes connections. Those who share an address have the same backends. */
  #localNodes({ holders }: LoadBalancerAddress["spec"]): ReadonlySet<string> | undefined {
    const local = holders.filter(({ localTo }) => localTo !== undefined);
    if (local.length === 0) return undefined;
    const nodes = local.map(({ kind, namespace, name }) => {
      return [...(this.#backends.get(`${kind} ${namespace}/${name}`) ?? [])];
    });
    return new Set(nodes.flat());
  }
}
