// Keeps the model fed with the objects of every kind that it needs, cut down to the fields that it reads.
import type {
  FieldError,
  KindDefinition,
  KubeObject,
  OwnerReference,
} from "../apimachinery/kind.ts";
import type { ApiClient } from "../client/api-client.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import { Reflector } from "../client/reflector.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { isobarGroup } from "../kinds/custom-kind.ts";
import { domainKind } from "../kinds/domain.ts";
import { type EndpointSlice, endpointSliceKind } from "../kinds/endpoint-slice.ts";
import { type Endpoint, endpointKind } from "../kinds/endpoint.ts";
import {
  type LoadBalancerAddress,
  loadBalancerAddressKind,
} from "../kinds/load-balancer-address.ts";
import { type LoadBalancer, loadBalancerKind } from "../kinds/load-balancer.ts";
import { type LoadBalancerPool, loadBalancerPoolKind } from "../kinds/load-balancer-pool.ts";
import { namespaceKind } from "../kinds/namespace.ts";
import { networkKind } from "../kinds/network.ts";
import { networkPolicyKind } from "../kinds/network-policy.ts";
import { type Node, nodeKind } from "../kinds/node.ts";
import { podKind } from "../kinds/pod.ts";
import type { Pod } from "../kinds/pod-type.ts";
import { serviceKind } from "../kinds/service.ts";
import { checkObject } from "../apimachinery/object.ts";
import { staticPodAnnotation } from "../kubernetes/pod.ts";
import type { Log } from "../runtime/log.ts";
import type { ControllerMetrics } from "./controller-metrics.ts";
import type { LoadBalancerFeed } from "./load-balancer-feed.ts";
import type { ModelFeed } from "./model-feed.ts";
import { networkUnavailable } from "./node-condition.ts";
import { Shared } from "./sharing.ts";

/** `object` is undefined for one that is gone, and `old` is then what it was. */
type SetObject<S> = (key: string, object: S | undefined, old: unknown) => void;

/**
 * Where a copy of a kind's objects stands. A reader who finds as many objects in the API and none newer knows that the copy
 * is equal: deletions show in the number, all else in the version.
 */
export interface WatchProgress {
  readonly resourceVersion: string;
  readonly objects: number;
}

interface Watched {
  readonly kind: string;
  readonly reflector: Pick<
    Reflector<KubeObject, Stripped>,
    "synced" | "resourceVersion" | "silentMs" | "size" | "run" | "get"
  >;
}

/** What is kept of an object. */
export interface Stripped {
  /** Why it is not to be trusted; then only its metadata is kept. */
  readonly problems?: readonly FieldError[];
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly spec?: unknown;
  readonly status?: unknown;
  /** Of an EndpointSlice, which has no spec. */
  readonly addressType?: unknown;
  readonly ports?: unknown;
  readonly endpoints?: unknown;
}

const ownPrefix = "isobar.io/";

/**
 * Isobar's own annotations, and the one by which a static pod's kubelet knows it. Others' are long, kubectl's whole
 * configurations for example.
 */
function knownAnnotations(
  annotations: Readonly<Record<string, string>> = {},
): Pick<Stripped["metadata"], "annotations"> {
  const own = Object.entries(annotations).filter(
    ([name]) => name.startsWith(ownPrefix) || name === staticPodAnnotation,
  );
  return own.length === 0 ? {} : { annotations: Object.fromEntries(own) };
}

/** For all watches of the process: pods and their Endpoints name each other. */
const texts = new Shared<string>();
const labelSets = new Shared<Readonly<Record<string, string>>>();
const portLists = new Shared<readonly unknown[]>();
const ownerLists = new Shared<readonly OwnerReference[]>();
const finalizerLists = new Shared<readonly string[]>();

function shared(text: string): string {
  return texts.of(text, text);
}

function stripMetadata({ metadata }: KubeObject): Stripped["metadata"] {
  const { name, namespace, uid, resourceVersion, generation, labels } = metadata;
  return {
    name: shared(name),
    uid: shared(uid),
    resourceVersion,
    ...(namespace === undefined ? {} : { namespace: shared(namespace) }),
    ...(generation === undefined ? {} : { generation }),
    ...(labels === undefined ? {} : { labels: labelSets.of(labels) }),
    ...knownAnnotations(metadata.annotations),
  };
}

function strip(object: KubeObject): Stripped {
  return { metadata: stripMetadata(object), spec: object.spec, status: object.status };
}

/** Of an object that the controller makes and takes away, or whose age counts, also when it was made and what holds it. */
function stripOwn(object: KubeObject): Stripped {
  const { creationTimestamp, deletionTimestamp, finalizers } = object.metadata;
  const life = {
    creationTimestamp,
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    ...(finalizers && { finalizers: finalizerLists.of(finalizers) }),
  };
  const stripped = strip(object);
  return { ...stripped, metadata: { ...stripped.metadata, ...life } };
}

/** There are as many Endpoints as pods, and what they name is named there as well. */
function stripEndpoint(endpoint: Endpoint): Stripped {
  const stripped = stripOwn(endpoint);
  const { domain, network, node, attachment, ...own } = endpoint.spec;
  return {
    ...stripped,
    spec: {
      ...own,
      domain: shared(domain),
      ...(network !== undefined && { network: shared(network) }),
      ...(node !== undefined && { node: shared(node) }),
      attachment: {
        ...attachment,
        name: shared(attachment.name),
        ...(attachment.uid !== undefined && { uid: shared(attachment.uid) }),
      },
    },
  };
}

/** Of a node, what a kubelet renews all the time is left out: images, capacity, the other conditions. */
function stripNode(node: Node): Stripped {
  const { addresses, conditions = [] } = node.status ?? {};
  const kept = conditions
    .filter(({ type }) => type === networkUnavailable || type === "Ready")
    .map(({ type, status }) => ({ type, status }));
  return { metadata: stripMetadata(node), status: { addresses, conditions: kept } };
}

/** A pod's specification is long, and there are many pods: only its place, ports and phase are kept. */
function stripPod(pod: Pod): Stripped {
  const owners = pod.metadata.ownerReferences?.filter(({ controller }) => controller === true);
  const { nodeName, hostNetwork, containers = [], initContainers = [] } = pod.spec ?? {};
  const { phase, podIP, podIPs } = pod.status ?? {};
  const ports = containers.filter((each) => each.ports).map((each) => ({ ports: each.ports }));
  const lasting = initContainers
    .filter((each) => each.ports && each.restartPolicy === "Always")
    .map((each) => ({ ports: each.ports, restartPolicy: each.restartPolicy }));
  return {
    metadata: {
      ...stripMetadata(pod),
      ...(owners && owners.length > 0 && { ownerReferences: ownerLists.of(owners) }),
    },
    spec: {
      ...(nodeName !== undefined && { nodeName: shared(nodeName) }),
      ...(hostNetwork === true && { hostNetwork }),
      ...(ports.length > 0 && { containers: portLists.of(ports) }),
      ...(lasting.length > 0 && { initContainers: portLists.of(lasting) }),
    },
    status: podIPs === undefined ? { phase, podIP } : { phase, podIPs },
  };
}

/** The references of its endpoints to pods are not needed. */
function stripSlice(slice: EndpointSlice): Stripped {
  const { addressType, ports, endpoints } = slice;
  return {
    metadata: stripMetadata(slice),
    addressType,
    ports,
    endpoints: endpoints?.map(({ addresses, conditions, nodeName, hostname, hints }) => ({
      addresses,
      conditions,
      nodeName,
      ...(hostname !== undefined && { hostname }),
      ...(hints && { hints }),
    })),
  };
}

/** Their specifications are kept as they are. */
function stripPool(pool: LoadBalancerPool): Stripped & Pick<LoadBalancerPool, "spec"> {
  return { metadata: stripMetadata(pool), spec: pool.spec };
}

function stripBalancer(balancer: LoadBalancer): Stripped & Pick<LoadBalancer, "spec" | "status"> {
  const { spec, status } = balancer;
  return { metadata: stripMetadata(balancer), spec, ...(status && { status }) };
}

function stripAddress(
  address: LoadBalancerAddress,
): Stripped & Pick<LoadBalancerAddress, "metadata" | "spec" | "status"> {
  const { metadata, spec, status } = address;
  return { metadata, spec, ...(status && { status }) };
}

/** Objects of own kinds may come from a server that checks only what a CRD can say. */
function isOwn(kind: KindDefinition): boolean {
  return kind.group === isobarGroup.group;
}

function stripChecked<T extends KubeObject, S extends Stripped>(
  kind: KindDefinition<T>,
  object: T,
  stripped: (object: T) => S,
): S | Stripped {
  const problems = checkObject(kind, object);
  return problems.length === 0 ? stripped(object) : { metadata: stripMetadata(object), problems };
}

function isSound<S extends Stripped>(object: S | Stripped | undefined): object is S {
  return object !== undefined && object.problems === undefined;
}

export interface ObjectWatchOptions {
  readonly client: ApiClient;
  readonly feed: ModelFeed;
  readonly loadBalancers: LoadBalancerFeed;
  readonly events: EventSink;
  /** Something was set or deleted. */
  readonly onChange: () => void;
  readonly metrics: Pick<ControllerMetrics, "watchEvents" | "watchFailures">;
  readonly log: Log;
}

export class ObjectWatch {
  readonly #options: ObjectWatchOptions;
  readonly #watched: readonly Watched[];

  constructor(options: ObjectWatchOptions) {
    this.#options = options;
    const { feed, loadBalancers } = options;
    this.#watched = [
      this.#watch(domainKind, strip, (key, object) => {
        feed.setDomain(key, object);
        loadBalancers.setDomain(key, object);
      }),
      this.#watch(nodeKind, stripNode, (key, object) => {
        feed.setNode(key, object);
        loadBalancers.setNode(key, object);
      }),
      this.#watch(namespaceKind, strip, (key, object) => {
        feed.setNamespace(key, object);
        loadBalancers.setNamespace(key, object);
      }),
      this.#watch(networkKind, stripOwn, (key, object) => feed.setNetwork(key, object)),
      this.#watch(endpointKind, stripEndpoint, (key, object, old) => {
        feed.setEndpoint(key, object, old);
        loadBalancers.setEndpoint(key, object, old);
      }),
      this.#watch(networkPolicyKind, strip, (key, object, old) =>
        feed.setNetworkPolicy(key, object, old),
      ),
      // Clusters need not have it.
      this.#watch(
        clusterNetworkPolicyKind,
        strip,
        (key, object, old) => feed.setClusterNetworkPolicy(key, object, old),
        { optional: true },
      ),
      this.#watch(podKind, stripPod, (key, object) => feed.setPod(key, object)),
      this.#watch(serviceKind, stripOwn, (key, object) => {
        feed.services.setService(key, object);
        loadBalancers.setService(key, object);
      }),
      this.#watch(endpointSliceKind, stripSlice, (key, object, old) => {
        feed.services.setSlice(key, object, old);
        loadBalancers.setSlice(key, object, old);
      }),
      // A server that was installed for an earlier version may not have these.
      this.#watch(
        loadBalancerPoolKind,
        stripPool,
        (key, object) => loadBalancers.setPool(key, object),
        { optional: true },
      ),
      this.#watch(
        loadBalancerAddressKind,
        stripAddress,
        (key, object) => loadBalancers.setAddress(key, object),
        { optional: true },
      ),
      this.#watch(
        loadBalancerKind,
        stripBalancer,
        (key, object) => loadBalancers.setLoadBalancer(key, object),
        { optional: true },
      ),
    ];
  }

  /** Resolves once every kind has been listed: before that the model has gaps, and nobody may be told of it. */
  get synced(): Promise<unknown> {
    return Promise.all(this.#watched.map(({ reflector }) => reflector.synced));
  }

  /** What is kept of an object; `undefined` for one that is not there or not sound. */
  find(kind: string, namespace: string | undefined, name: string): Stripped | undefined {
    const watched = this.#watched.find((each) => each.kind === kind);
    const object = watched?.reflector.get(namespace, name);
    return isSound(object) ? object : undefined;
  }

  /** How long nothing was heard of each kind that the server has. */
  get silencesMs(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      this.#watched.flatMap(({ kind, reflector: { silentMs } }) =>
        silentMs === undefined ? [] : [[kind, silentMs] as const],
      ),
    );
  }

  /** How far each kind has been followed. */
  get progress(): Readonly<Record<string, WatchProgress>> {
    return Object.fromEntries(
      this.#watched.map(({ kind, reflector }) => [
        kind,
        { resourceVersion: reflector.resourceVersion ?? "0", objects: reflector.size },
      ]),
    );
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#watched.map(({ reflector }) => reflector.run(signal)));
  }

  #watch<T extends KubeObject, S extends Stripped>(
    kind: KindDefinition<T>,
    stripped: (object: T) => S,
    set: SetObject<S>,
    { optional = false } = {},
  ): Watched {
    const { client, onChange, metrics, log } = this.#options;
    let told = "";
    const apply = (key: string, object: Stripped | undefined, old: Stripped | undefined): void => {
      const known = isSound(old) ? old : undefined;
      told = "";
      metrics.watchEvents.inc({ kind: kind.kind });
      if (object !== undefined && !isSound(object)) this.#report(kind, key, object);
      if (isSound<S>(object)) set(key, object, known);
      else if (known !== undefined) set(key, undefined, known);
      onChange();
    };
    const reflector = new Reflector({
      client,
      kind,
      optional,
      strip: isOwn(kind) ? (object: T) => stripChecked(kind, object, stripped) : stripped,
      handlers: {
        set: (object: Stripped, old: Stripped | undefined, key) => apply(key, object, old),
        delete: (old: Stripped, key) => apply(key, undefined, old),
      },
      onRetry: (error, delayMs) => {
        metrics.watchFailures.inc({ kind: kind.kind });
        // The same failure again and again is news only once.
        if (error.message === told) return;
        told = error.message;
        log.warn({ kind: kind.kind, error: told, delayMs }, "watch is tried again");
      },
    });
    return { kind: kind.kind, reflector };
  }

  #report(kind: KindDefinition, key: string, { metadata, problems = [] }: Stripped): void {
    const { events, log } = this.#options;
    const message = problems.map((each) => `${each.field}: ${each.message}`).join("; ");
    log.error({ kind: kind.kind, object: key, problems: message }, "invalid object left out");
    const regarding = subjectOf(kind, metadata);
    events.record({ regarding, type: "Warning", reason: "InvalidObject", message });
  }
}
