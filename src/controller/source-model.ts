// What one source says, put into the model of all. Names of the first source stay as they are; those of another have its name
// in front (`east:shop`), so that nothing of one source is ever taken for something of another.
import type { Compute } from "../compute/graph.ts";
import {
  type Domain,
  type Endpoint,
  type Labels,
  type Node,
  type Zone,
  everyNode,
} from "../model/endpoint.ts";
import type {
  EndpointSelector,
  LabelSelector,
  Peer,
  Policy,
  Rule,
  ZoneSelector,
} from "../model/policy.ts";
import { qualifiedName } from "../model/source-name.ts";
import type { NamedService } from "../model/named-service.ts";
import type { Announcement } from "../model/announcement.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { Backend, VirtualService } from "../model/service.ts";

export type ModelInputs = Pick<
  Compute,
  | "setZone"
  | "setEndpoint"
  | "setDomain"
  | "setNode"
  | "setPolicy"
  | "setService"
  | "setNames"
  | "setAnnouncement"
  | "setCheck"
>;

/** On every zone where there are several sources: selectors of a source match only zones that have its own. */
const sourceLabel = "isobar.io/source";

export interface SourceModelOptions {
  /** Empty for the first source. */
  readonly name: string;
  /** Whether there is no other source; then nothing needs to be told apart. */
  readonly isAlone: boolean;
  readonly inputs: ModelInputs;
}

/** Holds everything back until `release`: a model with gaps would open what a policy closes. */
export class SourceModel implements ModelInputs {
  readonly #options: SourceModelOptions;
  #held: Map<string, () => void> | undefined = new Map();

  constructor(options: SourceModelOptions) {
    this.#options = options;
  }

  /** The source has been read completely. What was set so far, and all from now on, goes into the model. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const [, set] of held) set();
  }

  /** The name that something of this source has in the model. */
  idOf(name: string): string {
    return qualifiedName(this.#options.name, name);
  }

  setZone(name: string, zone: Zone | undefined): void {
    const scoped = zone && this.#zone(zone);
    this.#set(`zone ${name}`, () => this.#options.inputs.setZone(this.idOf(name), scoped));
  }

  setEndpoint(id: string, endpoint: Endpoint | undefined): void {
    const scoped = endpoint && this.#endpoint(endpoint);
    this.#set(`endpoint ${id}`, () => this.#options.inputs.setEndpoint(this.idOf(id), scoped));
  }

  setDomain(name: string, domain: Domain | undefined): void {
    const scoped = domain && { ...domain, name: this.idOf(domain.name) };
    this.#set(`domain ${name}`, () => this.#options.inputs.setDomain(this.idOf(name), scoped));
  }

  setNode(name: string, node: Node | undefined): void {
    const scoped = node && this.#node(node);
    this.#set(`node ${name}`, () => this.#options.inputs.setNode(this.idOf(name), scoped));
  }

  setPolicy(id: string, policy: Policy | undefined): void {
    const scoped = policy && this.#policy(policy);
    this.#set(`policy ${id}`, () => this.#options.inputs.setPolicy(this.idOf(id), scoped));
  }

  setService(id: string, service: VirtualService | undefined): void {
    const scoped = service && this.#service(service);
    this.#set(`service ${id}`, () => this.#options.inputs.setService(this.idOf(id), scoped));
  }

  /** Only the first source has names: those of two clusters would be the same. */
  setNames(id: string, names: NamedService | undefined): void {
    if (this.#options.name !== "") return;
    this.#set(`names ${id}`, () => this.#options.inputs.setNames(id, names));
  }

  setAnnouncement(id: string, announcement: Announcement | undefined): void {
    const nodes = announcement?.nodes.map((node) => this.idOf(node)) ?? [];
    const scoped = announcement && { ...announcement, nodes };
    this.#set(`announcement ${id}`, () =>
      this.#options.inputs.setAnnouncement(this.idOf(id), scoped),
    );
  }

  setCheck(id: string, check: HealthCheck | undefined): void {
    const checkers = check?.checkers.map((node) => this.idOf(node)) ?? [];
    const scoped = check && { ...check, id: this.idOf(id), checkers };
    this.#set(`check ${id}`, () => this.#options.inputs.setCheck(this.idOf(id), scoped));
  }

  #set(key: string, set: () => void): void {
    if (this.#held === undefined) set();
    else this.#held.set(key, set);
  }

  #zone(zone: Zone): Zone {
    if (this.#options.isAlone) return zone;
    return { ...zone, name: this.idOf(zone.name), labels: this.#labels(zone.labels) };
  }

  #node(node: Node): Node {
    if (this.#options.isAlone) return node;
    const { name, labels, zone } = node;
    const place = zone === undefined ? {} : { zone: this.idOf(zone) };
    return { ...node, name: this.idOf(name), labels: this.#labels(labels), ...place };
  }

  /** A user's label of that name counts for nothing. */
  #labels({ [sourceLabel]: _claimed, ...labels }: Labels): Labels {
    const { name } = this.#options;
    return name === "" ? labels : { ...labels, [sourceLabel]: name };
  }

  #endpoint(endpoint: Endpoint): Endpoint {
    if (this.#options.name === "") return endpoint;
    const { id, zone, domain, node } = endpoint;
    const isPlaced = node !== undefined && node !== everyNode;
    return {
      ...endpoint,
      id: this.idOf(id),
      zone: this.idOf(zone),
      domain: this.idOf(domain),
      node: isPlaced ? this.idOf(node) : node,
    };
  }

  #service(service: VirtualService): VirtualService {
    if (this.#options.name === "") return service;
    return {
      ...service,
      id: this.idOf(service.id),
      name: this.idOf(service.name),
      domain: this.idOf(service.domain),
      backends: service.backends.map((backend) => this.#backend(backend)),
    };
  }

  #backend(backend: Backend): Backend {
    const { node, zones, nodes } = backend;
    return {
      ...backend,
      node: node === undefined ? undefined : this.idOf(node),
      ...(zones && { zones: zones.map((zone) => this.idOf(zone)) }),
      ...(nodes && { nodes: nodes.map((each) => this.idOf(each)) }),
    };
  }

  #policy(policy: Policy): Policy {
    if (this.#options.isAlone) return policy;
    return {
      ...policy,
      id: this.idOf(policy.id),
      subject: { ...policy.subject, ...this.#selector(policy.subject) },
      ingress: policy.ingress.map((rule) => this.#rule(rule)),
      egress: policy.egress.map((rule) => this.#rule(rule)),
    };
  }

  #rule(rule: Rule): Rule {
    const { peers } = rule;
    return peers === "any" ? rule : { ...rule, peers: peers.map((peer) => this.#peer(peer)) };
  }

  #peer(peer: Peer): Peer {
    switch (peer.kind) {
      case "endpoints":
        return { ...peer, ...this.#selector(peer) };
      case "nodes":
        return { ...peer, selector: this.#own(peer.selector) };
      case "network":
      case "domains":
      case "invalid":
        return peer;
    }
  }

  #selector({ zones, endpoints }: EndpointSelector): EndpointSelector {
    return { zones: this.#zones(zones), endpoints };
  }

  #zones(zones: ZoneSelector): ZoneSelector {
    return zones.kind === "name"
      ? { kind: "name", name: this.idOf(zones.name) }
      : { kind: "labels", selector: this.#own(zones.selector) };
  }

  #own({ matchLabels, matchExpressions }: LabelSelector): LabelSelector {
    const { name } = this.#options;
    if (name !== "") {
      return { matchLabels: { ...matchLabels, [sourceLabel]: name }, matchExpressions };
    }
    const none = { key: sourceLabel, operator: "DoesNotExist", values: [] } as const;
    return { matchLabels, matchExpressions: [...matchExpressions, none] };
  }
}
