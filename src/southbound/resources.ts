// What a controller tells an agent: resources, each replaced or deleted as a whole, keyed by kind and id.
// Shared by all nodes: domain, node, endpoint, backend, service, host, record, announcement, check; the last two name the nodes
// that are meant. Limited to the nodes with a subject of the policy (its span): posture, rule, group. A resource whose
// references are missing matches nothing, so a gap can only drop.
import type { DomainDns, NamedPort } from "../model/endpoint.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { Action, Direction, Tier } from "../model/policy.ts";
import type { Backend, VirtualService } from "../model/service.ts";
import type { PortProtocol } from "../net/protocol.ts";

export interface DomainResource {
  readonly kind: "domain";
  /** The domain's name. */
  readonly id: string;
  readonly vni: number;
  readonly pools: readonly string[];
  /** CIDRs outside the pools to which endpoints keep their own addresses: everything else sees their node's. */
  readonly unmasqueraded?: readonly string[];
  /** CIDRs of virtual addresses: what the node itself sends there goes through the switch. */
  readonly serviceCidrs?: readonly string[];
  /** How nodes that take part in the domain answer DNS; they do not when absent. */
  readonly dns?: DomainDns;
}

export interface NodeResource {
  readonly kind: "node";
  /** The node's name. */
  readonly id: string;
  /** Underlay addresses; the first is its VTEP. */
  readonly addresses: readonly string[];
  /** The topology's zone that it stands in; absent: not known. */
  readonly zone?: string;
}

export interface EndpointResource {
  readonly kind: "endpoint";
  /** `zone/name`. */
  readonly id: string;
  readonly domain: string;
  /** Name of its node, or `everyNode` of model/endpoint.ts. */
  readonly node: string;
  readonly addresses: readonly string[];
  readonly mac: string;
  /** Uids under which the attached object may be named. Absent: it has none, and is attached by its name alone. */
  readonly uids?: readonly string[];
  /** Endpoints of one zone with equal policy-relevant labels and named ports share it. Opaque text. */
  readonly identity: string;
}

/** How an identity is treated when no rule decides; sent to the nodes that have an endpoint of the identity. */
export interface PostureResource {
  readonly kind: "posture";
  /** The identity. */
  readonly id: string;
  /** Policies that isolate it, by direction. Empty: open in that direction. No posture at all: closed in both. */
  readonly ingress: readonly string[];
  readonly egress: readonly string[];
}

export interface NetworkBlock {
  readonly cidr: string;
  readonly except: readonly string[];
}

/** What a selector, or a rule's list of peers, matches now. */
export interface GroupResource {
  readonly kind: "group";
  /** Opaque text, equal for equal definitions. */
  readonly id: string;
  /** Sorted. */
  readonly identities: readonly string[];
  readonly networks: readonly NetworkBlock[];
  /**
   * Patterns of domain names, canonical (`model/domain-name.ts`): addresses that a subject has looked up under one of them.
   * Only in rules that allow, so an agent that does not know the field lets less through.
   */
  readonly domainNames?: readonly string[];
}

export interface PortMatch {
  readonly protocol: PortProtocol;
  /** Both included; 0 to 65535 is every port. */
  readonly from: number;
  readonly to: number;
}

export interface RuleResource {
  readonly kind: "rule";
  /** Opaque text, stable while the rule's meaning is. One policy rule can give several (named ports). */
  readonly id: string;
  readonly direction: Direction;
  readonly tier: Tier;
  readonly priority: number;
  readonly action: Action;
  /** Groups; an endpoint in any of them is a subject. */
  readonly subjects: readonly string[];
  readonly peers: readonly string[] | "any";
  readonly ports: readonly PortMatch[] | "any";
  /** For people and records: the policy's id and the rule's index in it. */
  readonly policy: string;
  readonly ruleIndex: number;
}

/** Its backends are resources of their own. Each frontend is in no other service of the domain and protocol. */
export interface ServiceResource extends Omit<VirtualService, "backends"> {
  readonly kind: "service";
}

export interface BackendResource extends Omit<Backend, "node"> {
  readonly kind: "backend";
  /** Its service's id, address and port. */
  readonly id: string;
  readonly service: string;
  /** Empty where it is on none. */
  readonly node: string;
}

/** Names of a Service; told in domains with DNS only (model/named-service.ts). */
interface RecordResource {
  readonly kind: "record";
  /** `namespace/name`. */
  readonly id: string;
  readonly domain: string;
  readonly addresses: readonly string[];
  readonly alias?: string;
  readonly ports: readonly NamedPort[];
}

/** A host of a headless Service, for its names. */
interface HostResource {
  readonly kind: "host";
  /** Its record's id, the address, and the host's name if it has one. */
  readonly id: string;
  readonly record: string;
  readonly address: string;
  readonly hostname?: string;
  readonly ports: readonly NamedPort[];
}

/** An address that nodes tell the network outside of. */
export interface AnnouncementResource {
  readonly kind: "announcement";
  /** The address, with its source's name in front. */
  readonly id: string;
  readonly address: string;
  /** `L2`: by ARP and neighbour discovery. */
  readonly protocol: "L2";
  /** Those that do; with `L2` at most one. */
  readonly nodes: readonly string[];
  /** Names of interfaces; absent: the one that has the node's own address. */
  readonly interfaces?: readonly string[];
}

/** Something that nodes are to find out again and again, and to report: whether a backend answers. */
export interface CheckResource extends HealthCheck {
  readonly kind: "check";
}

export type Resource =
  | DomainResource
  | NodeResource
  | EndpointResource
  | PostureResource
  | GroupResource
  | RuleResource
  | ServiceResource
  | BackendResource
  | RecordResource
  | HostResource
  | AnnouncementResource
  | CheckResource;

export type ResourceKind = Resource["kind"];

/** Additions are sent and applied in this order, deletions in the reverse of it. */
export const resourceKinds = [
  "domain",
  "node",
  "group",
  "rule",
  "posture",
  "endpoint",
  "backend",
  "service",
  "host",
  "record",
  "announcement",
  "check",
] as const satisfies readonly ResourceKind[];

export interface ResourceKey {
  readonly kind: ResourceKind;
  readonly id: string;
}

/** Changes that take effect together: the agent puts them on the switch as one bundle. */
export interface Delta {
  readonly upserts: readonly Resource[];
  readonly deletes: readonly ResourceKey[];
}
