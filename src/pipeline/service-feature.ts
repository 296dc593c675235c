// Services: a new connection to a virtual address and port has a backend picked by a group, is judged by the policies
// as one to that backend, and is translated when it becomes known. Replies and later packets are translated by the
// connection's own entry. The choice is made once, where the client is, or where it comes into the overlay.
import { formatAddress } from "../net/address.ts";
import type { TrafficPolicy } from "../model/service.ts";
import type { Flow } from "../openflow/flow.ts";
import type { BackendResource, ServiceResource } from "../southbound/resources.ts";
import { Claims } from "./claims.ts";
import type { Facts } from "./fact.ts";
import { type Change, type Feature, type Mark, type RenderContext, SetMap } from "./feature.ts";
import { chooseBackends } from "./service-backends.ts";
import {
  type Choices,
  affinityPeriod,
  renderBackend,
  renderClusterAddress,
  renderClusterFrontend,
  renderExternalFrontend,
  renderNodePort,
  renderPick,
  renderRefusal,
  renderReject,
} from "./service-flows.ts";
import {
  type Target,
  addressKeyOf,
  claimsOf,
  frontendsOf,
  keyOf,
  nodePortKeyOf,
  targetOf,
} from "./service-target.ts";

/** What of a service is this one's alone. */
interface Owned {
  readonly frontends: ReturnType<typeof frontendsOf>;
  readonly nodePort: number | undefined;
}

export class ServiceFeature implements Feature {
  readonly #node: string;
  readonly #facts: Facts;
  readonly #claims = new Claims<string>();
  readonly #backendsByService = new SetMap<string, string>();
  /** Key of an address of the cluster → ids of the services that have it as a frontend. */
  readonly #servicesByAddress = new SetMap<string, string>();
  /** Key of a target → ids of the backends that are it. */
  readonly #backendsByTarget = new SetMap<string, string>();
  readonly #targetOfBackend = new Map<string, string>();
  /** Services with a backend that is meant for some zones alone. */
  readonly #zoned = new SetMap<string, string>();

  /** Services with affinity, and how long it is. */
  readonly #sticky = new Map<string, number>();

  constructor(node: string, facts: Facts) {
    this.#node = node;
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    service: (change, mark) => this.#changeService(change, mark),
    backend: (change, mark) => this.#changeBackend(change, mark),
    node: ({ id, before, after }, mark) => {
      if (id !== this.#node || before?.zone === after?.zone) return;
      for (const service of this.#zoned.keys()) this.#markService(service, mark);
    },
    clock: ({ before, after }, mark) => {
      for (const [id, period] of this.#sticky) {
        const [then, now] = [before, after].map((at) => affinityPeriod(at?.seconds ?? 0, period));
        if (then !== now) this.#markService(id, mark);
      }
    },
  };

  #changeService(change: Change<"service">, mark: Mark): void {
    const { id, before, after } = change;
    for (const key of this.#claims.update(change, claimsOf)) {
      for (const claimant of this.#claims.claimants(key)) this.#markService(claimant, mark);
    }
    for (const target of clusterFrontendsOf(before)) {
      this.#servicesByAddress.delete(addressKeyOf(target), id);
      this.#markAddress(target, mark);
    }
    for (const target of clusterFrontendsOf(after)) {
      this.#servicesByAddress.add(addressKeyOf(target), id);
      this.#markAddress(target, mark);
    }
    this.#markService(id, mark);
    if (after?.affinitySeconds === undefined) this.#sticky.delete(id);
    else this.#sticky.set(id, after.affinitySeconds);
    const movesBackends =
      before?.domain !== after?.domain ||
      before?.protocol !== after?.protocol ||
      before?.family !== after?.family;
    if (!movesBackends) return;
    for (const backend of this.#backendsByService.get(id)) {
      this.#placeBackend(backend, this.#facts.get("backend", backend), mark);
    }
  }

  #changeBackend({ id, before, after }: Change<"backend">, mark: Mark): void {
    if (before) {
      this.#backendsByService.delete(before.service, id);
      this.#zoned.delete(before.service, id);
    }
    if (after) {
      this.#backendsByService.add(after.service, id);
      if (after.zones !== undefined) this.#zoned.add(after.service, id);
    }
    for (const service of new Set([before?.service, after?.service])) {
      if (service !== undefined) this.#markService(service, mark);
    }
    this.#placeBackend(id, after, mark);
  }

  /** Keeps who needs the flows of a target; several services may share it. */
  #placeBackend(id: string, backend: BackendResource | undefined, mark: Mark): void {
    const target = backend && this.#targetOf(backend);
    const before = this.#targetOfBackend.get(id);
    const after = target && keyOf(target);
    if (before === after) return;
    if (before !== undefined) {
      this.#backendsByTarget.delete(before, id);
      this.#targetOfBackend.delete(id);
      this.#markTarget(before, mark);
    }
    if (after !== undefined) {
      this.#backendsByTarget.add(after, id);
      this.#targetOfBackend.set(id, after);
      this.#markTarget(after, mark);
    }
  }

  #targetOf(backend: BackendResource): Target | undefined {
    const service = this.#facts.get("service", backend.service);
    return service && targetOf(service, backend);
  }

  #markService(id: string, mark: Mark): void {
    mark(`service ${id}`, (context) => this.#renderService(id, context));
  }

  #markAddress(target: Target, mark: Mark): void {
    const key = addressKeyOf(target);
    mark(`virtual address ${key}`, (context) =>
      this.#servicesByAddress.get(key).size === 0 ? [] : renderClusterAddress(target, context),
    );
  }

  #markTarget(key: string, mark: Mark): void {
    mark(`backend ${key}`, (context) => this.#renderBackend(key, context));
  }

  #renderBackend(key: string, context: RenderContext): readonly Flow[] {
    const [id] = this.#backendsByTarget.get(key);
    const backend = id === undefined ? undefined : this.#facts.get("backend", id);
    const target = backend && this.#targetOf(backend);
    return target === undefined ? [] : renderBackend(target, context.number("backend", key));
  }

  #renderService(id: string, context: RenderContext): readonly Flow[] {
    const service = this.#facts.get("service", id);
    if (service === undefined) return [];
    const { frontends, nodePort } = this.#owned(service, context);
    if (frontends.length === 0 && nodePort === undefined) return [];
    const { flows, choices } = this.#renderChoices(service, context);
    return [
      ...flows,
      ...frontends.flatMap((target) =>
        target.scope === "cluster"
          ? renderClusterFrontend(service, target, choices, context)
          : renderExternalFrontend(service, target, choices, context),
      ),
      ...(nodePort === undefined ? [] : renderNodePort(service, nodePort, choices, context)),
    ];
  }

  #owned(service: ServiceResource, context: RenderContext): Owned {
    const { id } = service;
    const owns = (key: string, what: string): boolean => {
      if (this.#claims.owner(key) === id) return true;
      const message = `${what} belongs to several services`;
      context.report({ resource: { kind: "service", id }, message });
      return false;
    };
    const frontends = frontendsOf(service).filter((target) =>
      owns(keyOf(target), `${formatAddress(target.address)} port ${target.port}`),
    );
    const { nodePort } = service;
    const ownsPort =
      nodePort !== undefined && owns(nodePortKeyOf(service), `node port ${nodePort}`);
    return { frontends, nodePort: ownsPort ? nodePort : undefined };
  }

  #renderChoices(
    service: ServiceResource,
    context: RenderContext,
  ): { readonly flows: readonly Flow[]; readonly choices: Choices } {
    const { id, internalPolicy, externalPolicy, nodePort } = service;
    const number = context.number("service", id);
    const all = Array.from(this.#backendsByService.get(id), (backend) =>
      this.#facts.get("backend", backend),
    ).filter((backend) => backend !== undefined);
    const seconds = this.#facts.get("clock", "clock")?.seconds ?? 0;
    const place = { node: this.#node, zone: this.#facts.get("node", this.#node)?.zone };
    const pick = (policy: TrafficPolicy): ReturnType<typeof renderPick> | undefined => {
      const chosen = chooseBackends(service, all, policy, place);
      const local = policy === "Local";
      return chosen.length === 0
        ? undefined
        : renderPick(service, { number, local, seconds }, chosen, context);
    };
    const isExternal =
      nodePort !== undefined || service.frontends.some(({ scope }) => scope === "external");
    const isUsed = (policy: TrafficPolicy): boolean =>
      internalPolicy === policy ||
      (isExternal && (policy === "Cluster" || externalPolicy === policy));
    const picks = {
      Cluster: isUsed("Cluster") ? pick("Cluster") : undefined,
      Local: isUsed("Local") ? pick("Local") : undefined,
    };
    const reject = renderReject("noBackend");
    const everywhere = picks.Cluster?.outcome ?? reject;
    // An address that several nodes stand for is left to those that have a backend: the packet is lost here.
    const elsewhere = all.length > 0 ? renderRefusal("noBackend") : reject;
    return {
      flows: [...(picks.Cluster?.flows ?? []), ...(picks.Local?.flows ?? [])],
      choices: {
        cluster: picks[internalPolicy]?.outcome ?? reject,
        inside: everywhere,
        outside: externalPolicy === "Cluster" ? everywhere : (picks.Local?.outcome ?? elsewhere),
      },
    };
  }
}

/** A virtual address of the cluster is nobody else's. */
function clusterFrontendsOf(service: ServiceResource | undefined): readonly Target[] {
  return service === undefined
    ? []
    : frontendsOf(service).filter(({ scope }) => scope === "cluster");
}
