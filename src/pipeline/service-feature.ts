// Services: a new connection to a virtual address and port has a backend picked by a group, is judged by the policies
// as one to that backend, and is translated when it becomes known. Replies and later packets are translated by the
// connection's own entry. The choice is made once, where the client is.
import { type Address, type Family, formatAddress, tryParseAddress } from "../net/address.ts";
import { type PortProtocol, protocolNumbers } from "../net/protocol.ts";
import type { KnownFieldName } from "../openflow/field.ts";
import type { Flow } from "../openflow/flow.ts";
import type { FrontendScope } from "../model/service.ts";
import { hashOf } from "../southbound/digest.ts";
import type { BackendResource, ServiceResource } from "../southbound/resources.ts";
import { Claims } from "./claims.ts";
import { encodeCookie, refusals } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import { type Change, type Feature, type Mark, type RenderContext, SetMap } from "./feature.ts";
import {
  type FlowDraft,
  type KnownMatch,
  buildFlow,
  call,
  familyFields,
  load,
  whereFamily,
  whereField,
  whereRegister,
} from "./flow-builder.ts";
import { destinationPorts, renderCommitTo } from "./gates.ts";
import { serviceOf } from "./service-match.ts";

/** Where connections to one virtual address and port, or to one backend, go. */
interface Target {
  /** Only of a frontend. */
  readonly scope?: FrontendScope;
  readonly domain: string;
  readonly protocol: PortProtocol;
  readonly address: Address;
  readonly port: number;
}

function targetOf(
  { domain, protocol }: ServiceResource,
  {
    address: text,
    port,
    scope,
  }: { readonly address: string; readonly port: number; readonly scope?: FrontendScope },
): Target | undefined {
  const address = tryParseAddress(text);
  return address && { domain, protocol, address, port, ...(scope && { scope }) };
}

function addressKeyOf({ domain, address }: Target): string {
  return `${domain} ${formatAddress(address)}`;
}

function keyOf(target: Target): string {
  return `${addressKeyOf(target)} ${target.protocol} ${target.port}`;
}

/** What cannot be read is left out: nothing goes there. */
function frontendsOf(service: ServiceResource): readonly Target[] {
  return service.frontends.flatMap((frontend) => targetOf(service, frontend) ?? []);
}

function frontendKeysOf(service: ServiceResource): readonly string[] {
  return frontendsOf(service).map(keyOf);
}

/**
 * A group is set and read back in one message of 65,535 bytes, some 50 for each bucket. Of more backends each node takes so
 * many, by rendezvous hashing: one that comes or goes replaces one at most, and all nodes together use them all.
 */
const groupLimit = 1_000;

const priorities = { port: 200, address: 100 } as const;

export class ServiceFeature implements Feature {
  readonly #node: string;
  readonly #facts: Facts;
  readonly #frontends = new Claims<string>();
  readonly #backendsByService = new SetMap<string, string>();
  /** Key of an address → ids of the services that have it as a frontend. */
  readonly #servicesByAddress = new SetMap<string, string>();
  /** Key of a target → ids of the backends that are it. */
  readonly #backendsByTarget = new SetMap<string, string>();
  readonly #targetOfBackend = new Map<string, string>();

  constructor(node: string, facts: Facts) {
    this.#node = node;
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    service: (change, mark) => this.#changeService(change, mark),
    backend: (change, mark) => this.#changeBackend(change, mark),
  };

  #changeService(change: Change<"service">, mark: Mark): void {
    const { id, before, after } = change;
    for (const key of this.#frontends.update(change, frontendKeysOf)) {
      for (const claimant of this.#frontends.claimants(key)) this.#markService(claimant, mark);
    }
    for (const target of before ? frontendsOf(before) : []) {
      this.#servicesByAddress.delete(addressKeyOf(target), id);
      this.#markAddress(target, mark);
    }
    for (const target of after ? frontendsOf(after) : []) {
      this.#servicesByAddress.add(addressKeyOf(target), id);
      this.#markAddress(target, mark);
    }
    this.#markService(id, mark);
    const movesBackends = before?.domain !== after?.domain || before?.protocol !== after?.protocol;
    if (!movesBackends) return;
    for (const backend of this.#backendsByService.get(id)) {
      this.#placeBackend(backend, this.#facts.get("backend", backend), mark);
    }
  }

  #changeBackend({ id, before, after }: Change<"backend">, mark: Mark): void {
    if (before) this.#backendsByService.delete(before.service, id);
    if (after) this.#backendsByService.add(after.service, id);
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
    mark(`virtual address ${key}`, (context) => this.#renderAddress(target, key, context));
  }

  #markTarget(key: string, mark: Mark): void {
    mark(`backend ${key}`, (context) => this.#renderBackend(key, context));
  }

  #renderService(id: string, context: RenderContext): readonly Flow[] {
    const service = this.#facts.get("service", id);
    if (service === undefined) return [];
    const report = (message: string): void =>
      context.report({ resource: { kind: "service", id }, message });
    const own = frontendsOf(service).filter((target) => {
      if (this.#frontends.owner(keyOf(target)) === id) return true;
      report(`${formatAddress(target.address)} port ${target.port} belongs to several services`);
      return false;
    });
    const isSplit = service.internalPolicy === "Local";
    return (["cluster", "external"] as const).flatMap((scope) => {
      const targets = own.filter((target) => target.scope === scope);
      if (targets.length === 0) return [];
      const key = isSplit && scope === "external" ? `${id} external` : id;
      return this.#renderFrontends(service, targets, { key, scope }, context);
    });
  }

  #renderFrontends(
    service: ServiceResource,
    own: readonly Target[],
    { key, scope }: { readonly key: string; readonly scope: FrontendScope },
    context: RenderContext,
  ): readonly Flow[] {
    const { family } = service;
    const backends = this.#backendsOf(service, scope);
    const number = context.number("service", key);
    const choice = renderChoice(number, backends, hashFieldsOf(service, family), context);
    return own
      .filter((target) => target.address.family === family)
      .map((target) =>
        buildFlow({
          table: "Service",
          priority: priorities.port,
          match: [
            ...whereVirtual(target, context),
            whereField("ip_proto", protocolNumbers[target.protocol]),
            whereField(destinationPorts[target.protocol], target.port),
          ],
          ...choice,
        }),
      );
  }

  /** Those that this node's clients may be sent to, each once. */
  #backendsOf(service: ServiceResource, scope: FrontendScope): readonly Target[] {
    const { family, internalPolicy } = service;
    const localOnly = scope === "cluster" && internalPolicy === "Local";
    const backends = Array.from(this.#backendsByService.get(service.id), (id) =>
      this.#facts.get("backend", id),
    )
      .filter((backend) => backend !== undefined)
      .filter(({ node }) => !localOnly || node === this.#node);
    const ready = backends.filter((backend) => backend.ready);
    const targets = new Map<string, Target>();
    for (const backend of ready.length > 0 ? ready : backends) {
      const target = targetOf(service, backend);
      if (target?.address.family === family) targets.set(keyOf(target), target);
    }
    return this.#chosen(targets);
  }

  /** Those that clients of this node are spread over, in an order that depends on nothing else. */
  #chosen(targets: ReadonlyMap<string, Target>): readonly Target[] {
    const byKey = [...targets].toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (byKey.length <= groupLimit) return byKey.map(([, target]) => target);
    const ranked = byKey.map(([key, target]) => ({ rank: hashOf(`${this.#node} ${key}`), target }));
    return ranked
      .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
      .slice(0, groupLimit)
      .map(({ target }) => target);
  }

  /** A virtual address is nobody's, so what no service takes goes nowhere. */
  #renderAddress(target: Target, key: string, context: RenderContext): readonly Flow[] {
    if (this.#servicesByAddress.get(key).size === 0) return [];
    return [
      buildFlow({
        table: "Service",
        priority: priorities.address,
        cookie: encodeCookie({ feature: "refusal", verdict: "deny", number: refusals.noService }),
        match: whereVirtual(target, context),
      }),
    ];
  }

  #renderBackend(key: string, context: RenderContext): readonly Flow[] {
    const [id] = this.#backendsByTarget.get(key);
    const backend = id === undefined ? undefined : this.#facts.get("backend", id);
    const target = backend && this.#targetOf(backend);
    if (target === undefined) return [];
    const { address, port, protocol } = target;
    const number = context.number("backend", key);
    const cookie = encodeCookie({ feature: "backend", number });
    const match = [whereRegister("backend", number), whereFamily(address.family)];
    return [
      buildFlow({
        table: "Backend",
        priority: 100,
        cookie,
        match,
        actions: [
          load("balanced", 1),
          load(familyFields[address.family].argument, address.bits),
          load("service", serviceOf(protocol) | port),
        ],
        next: "Destination",
      }),
      renderCommitTo({ address, port, cookie, match }),
    ];
  }
}

/** By which fields connections are spread; none for what the datapath's own hash does as well. */
function hashFieldsOf(
  { protocol, affinitySeconds }: ServiceResource,
  family: Family,
): readonly KnownFieldName[] {
  const { source, destination } = familyFields[family];
  if (affinitySeconds !== undefined) return [source];
  // The datapath's hash leaves the ports of UDP out, and all queries of a client would go to one server.
  return protocol === "UDP" ? [source, destination, "udp_src", "udp_dst"] : [];
}

/**
 * A group picks by a hash that the datapath computes, so that connections which differ in nothing but their client's port
 * share their flows there; that costs their first packets another pass, which one backend alone does not need.
 */
function renderChoice(
  number: number,
  backends: readonly Target[],
  hashFields: readonly KnownFieldName[],
  context: RenderContext,
): Pick<FlowDraft, "cookie" | "actions" | "next"> {
  const cookie = encodeCookie({ feature: "service", number });
  const numbers = backends.map((target) => context.number("backend", keyOf(target)));
  const [only] = numbers;
  if (only === undefined) {
    const refusal = { feature: "refusal", verdict: "deny", number: refusals.noBackend } as const;
    return { cookie: encodeCookie(refusal) };
  }
  if (numbers.length === 1) return { cookie, actions: [load("backend", only)], next: "Backend" };
  const buckets = numbers.map((id) => ({
    id,
    actions: [load("backend", id), call("Backend")],
    weight: 1,
  }));
  const hashed = hashFields.length > 0 ? { hashFields } : {};
  context.group({ id: number, type: "select", buckets, ...hashed });
  return { cookie, actions: [{ kind: "group", group: number }] };
}

function whereVirtual({ domain, address }: Target, context: RenderContext): KnownMatch[] {
  return [
    whereRegister("domain", context.number("domain", domain)),
    whereFamily(address.family),
    whereField(familyFields[address.family].destination, address.bits),
  ];
}
