// Turns what the API server holds into the inputs of the controller's two cores: the compute graph and the addresses.
// Keys are `namespace/name`, or names for kinds without a namespace. An object is `undefined` once it is gone.
import type { KindDefinition } from "../apimachinery/kind.ts";
import { equalJson } from "../apimachinery/json.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import { type AddressAnnotations, annotation, parseAddressRequest } from "../ipam/request.ts";
import {
  clusterNetworkPolicyId,
  nameOfClusterNetworkPolicy,
  translateClusterNetworkPolicy,
} from "../kubernetes/cluster-network-policy.ts";
import { translateDomain } from "../kubernetes/domain.ts";
import { isOfPod, translateEndpoint } from "../kubernetes/endpoint.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { networkPolicyKind } from "../kinds/network-policy.ts";
import {
  fieldAt,
  fieldOf,
  listOf,
  type Problem,
  stringOf,
  type Translation,
} from "../kubernetes/json.ts";
import { translateNamespace } from "../kubernetes/namespace.ts";
import { translateNetworkPolicy } from "../kubernetes/network-policy.ts";
import { translateNode } from "../kubernetes/node.ts";
import { defaultDomain, staticPodAnnotation, translatePod } from "../kubernetes/pod.ts";
import type { PriorityConflicts } from "../kubernetes/priority-conflicts.ts";
import type { ServiceSurroundings } from "../kubernetes/service.ts";
import type { Domain } from "../model/endpoint.ts";
import type { Endpoint } from "../model/endpoint.ts";
import type { Policy } from "../model/policy.ts";
import type { Log } from "../runtime/log.ts";
import type { AddressController } from "./address-controller.ts";
import type { PlacedPod } from "./placed-pod.ts";
import {
  knownDomain,
  knownEndpoint,
  knownNetwork,
  ownerOf,
  podUidOf,
  webhookOf,
} from "./known-objects.ts";
import { NameFeed } from "./name-feed.ts";
import { EndingNamespaces } from "./ending-namespaces.ts";
import { ServiceFeed } from "./service-feed.ts";
import type { ModelInputs } from "./source-model.ts";

/**
 * A static pod goes on when the pod that stands for it in the API is deleted, and its kubelet soon makes another one with
 * another uid: that one has the addresses of the containers that run.
 */
const staticKeepSeconds = 300;

export interface ModelFeedOptions {
  readonly compute: ModelInputs;
  readonly addresses: AddressController;
  /** Kept up to date with the ClusterNetworkPolicies. */
  readonly conflicts: PriorityConflicts;
  /** The policy was set, or somebody has written on it. */
  readonly onPolicy: (id: string) => void;
  /** A pod has its addresses, or none any more. */
  readonly onEndpoint: (key: string, endpoint: Endpoint | undefined) => void;
  /** The domain was set, or somebody has written on it; without a VNI it is gone, or none. */
  readonly onDomain: (name: string, vni: number | undefined) => void;
  /** The namespace as the API has it now; `undefined` when there is none. */
  readonly readNamespace: (name: string) => Promise<unknown>;
  /** Something was set in the model, apart from what was just told. */
  readonly onChange: () => void;
  readonly events: EventSink;
  readonly log: Log;
}

export class ModelFeed {
  readonly services: ServiceFeed;
  readonly #names: NameFeed;
  readonly #options: ModelFeedOptions;
  readonly #clusterPolicies = new Map<string, { readonly name: string; readonly uid: string }>();
  readonly #pods = new Map<string, unknown>();
  readonly #podsByNamespace = new Map<string, Set<string>>();
  /** Endpoints that are not pods', by namespace. */
  readonly #othersByNamespace = new Map<string, Set<string>>();
  readonly #ending: EndingNamespaces;
  readonly #endpoints = new Map<string, unknown>();
  readonly #surroundings = new Map<string, ServiceSurroundings>();
  /** Those that are known: what they ask for decides about their pods' addresses, and may come after the pods. */
  readonly #namespaces = new Map<string, { readonly isEnding: boolean }>();
  /** Of namespaces that say something of addresses. */
  readonly #annotations = new Map<string, AddressAnnotations>();

  constructor(options: ModelFeedOptions) {
    this.#options = options;
    this.#names = new NameFeed({ inputs: options.compute });
    const { readNamespace: read, onChange } = options;
    this.#ending = new EndingNamespaces({ read, onChange });
    this.services = new ServiceFeed({
      inputs: options.compute,
      domainOf: (namespace) => this.domainOf(namespace),
      surroundingsOf: (domain) =>
        this.#surroundings.get(domain) ?? { domain, pools: [], serviceCidrs: [] },
      names: this.#names,
      events: options.events,
    });
  }

  /** Namespaces of which it is not known yet whether what has gone from them is to go. */
  get undecided(): number {
    return this.#ending.asking;
  }

  setNamespace(name: string, object: unknown): void {
    this.#options.compute.setZone(
      name,
      object === undefined ? undefined : translateNamespace(object),
    );
    const isEnding = this.#ending.set(name, object);
    const annotations = annotationsOf(object);
    const isNews = object !== undefined && this.#namespaces.get(name)?.isEnding !== isEnding;
    if (object === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, { isEnding });
    if (!isNews && equalJson(annotations, this.#annotations.get(name) ?? {})) return;
    if (Object.keys(annotations).length === 0) this.#annotations.delete(name);
    else this.#annotations.set(name, annotations);
    for (const key of this.#podsByNamespace.get(name) ?? []) this.#place(key);
    this.services.domainChanged(name);
  }

  setPod(key: string, object: unknown): void {
    const namespace = namespaceOf(key);
    const inNamespace = this.#podsByNamespace.get(namespace) ?? new Set<string>();
    if (object === undefined) {
      this.#pods.delete(key);
      inNamespace.delete(key);
    } else {
      this.#pods.set(key, object);
      inNamespace.add(key);
    }
    if (inNamespace.size === 0) this.#podsByNamespace.delete(namespace);
    else this.#podsByNamespace.set(namespace, inNamespace);
    this.#place(key);
    this.#join(key);
    this.#releaseIfEmpty(namespace);
  }

  /** What has gone from a namespace that is being deleted counts until nothing is left that it was for. */
  #releaseIfEmpty(namespace: string): void {
    if (!this.#isInhabited(namespace)) this.#ending.release(namespace);
  }

  #isInhabited(namespace: string): boolean {
    return this.#podsByNamespace.has(namespace) || this.#othersByNamespace.has(namespace);
  }

  /** `old` is the object that is gone when `object` is undefined. */
  setEndpoint(key: string, object: unknown, old: unknown): void {
    const { addresses } = this.#options;
    const [namespace, id] = [namespaceOf(key), `Endpoint/${key}`];
    this.#ending.forget(namespace, id);
    this.#setOther(namespace, key, object !== undefined && !isOfPod(object));
    if (object !== undefined) {
      this.#endpoints.set(key, object);
      addresses.setEndpoint(key, knownEndpoint(key, object));
      this.#join(key);
      return;
    }
    addresses.removeEndpoint(key, knownEndpoint(key, old).uid);
    const remove = (): void => {
      this.#endpoints.delete(key);
      this.#join(key);
    };
    const pod = this.#pods.get(key);
    const isOwn = podUidOf(old) === fieldAt(pod, "metadata", "uid");
    const isUsed = pod !== undefined && isOwn && translatePod(pod) !== undefined;
    if (isUsed) this.#ending.hold(namespace, id, remove);
    else remove();
    this.#releaseIfEmpty(namespace);
  }

  #setOther(namespace: string, key: string, isThere: boolean): void {
    const others = this.#othersByNamespace.get(namespace) ?? new Set<string>();
    if (isThere) others.add(key);
    else others.delete(key);
    if (others.size === 0) this.#othersByNamespace.delete(namespace);
    else this.#othersByNamespace.set(namespace, others);
  }

  setNetwork(key: string, object: unknown): void {
    const { addresses, log } = this.#options;
    if (object === undefined) {
      addresses.removeNetwork(key);
      return;
    }
    try {
      addresses.setNetwork(key, knownNetwork(key, object));
    } catch (error) {
      log.error({ network: key, err: error }, "network left out");
    }
  }

  setDomain(name: string, object: unknown): void {
    const domain = object === undefined ? undefined : translateDomain(object);
    this.#options.compute.setDomain(name, domain);
    const hasOtherNames = this.#names.setDomain(name, domain?.dns);
    if (this.#setSurroundings(name, domain) || hasOtherNames) this.services.domainSet(name);
    this.#options.onDomain(name, domain?.vni);
    const length = fieldAt(object, "spec", "networkPrefixLength");
    const networkLength = {
      4: Number(fieldAt(length, "ipv4") ?? 24),
      6: Number(fieldAt(length, "ipv6") ?? 64),
    };
    this.#options.addresses.setDomain(
      name,
      domain && {
        pools: { pools: domain.pools, networkLength },
        uid: stringOf(fieldAt(object, "metadata", "uid")) ?? "",
        ledger: knownDomain(object),
        webhook: webhookOf(object),
      },
    );
  }

  /** Whether they are others than before; a domain is written on all the time, and seldom changes. */
  #setSurroundings(name: string, domain: Domain | undefined): boolean {
    const before = this.#surroundings.get(name);
    const { pools = [], serviceCidrs = [] } = domain ?? {};
    const after = { domain: name, pools, serviceCidrs };
    if (domain === undefined) this.#surroundings.delete(name);
    else this.#surroundings.set(name, after);
    return domain === undefined ? before !== undefined : !equalJson(before, after);
  }

  setNode(name: string, object: unknown): void {
    this.#options.compute.setNode(name, object === undefined ? undefined : translateNode(object));
  }

  setNetworkPolicy(key: string, object: unknown, old: unknown): void {
    const id = `NetworkPolicy/${key}`;
    if (this.#isWrittenOn(id, object, old)) return;
    const namespace = namespaceOf(key);
    this.#ending.forget(namespace, id);
    if (object === undefined) {
      const remove = (): void => this.#options.compute.setPolicy(id, undefined);
      if (this.#isInhabited(namespace)) this.#ending.hold(namespace, id, remove);
      else remove();
      return;
    }
    this.#setPolicy(id, translateNetworkPolicy(object), networkPolicyKind, object);
  }

  setClusterNetworkPolicy(name: string, object: unknown, old: unknown): void {
    const id = clusterNetworkPolicyId(name);
    if (this.#isWrittenOn(id, object, old)) return;
    const translation = object === undefined ? undefined : translateClusterNetworkPolicy(object);
    this.#setPolicy(id, translation, clusterNetworkPolicyKind, object);
    const uid = stringOf(fieldAt(object, "metadata", "uid"));
    if (uid === undefined) this.#clusterPolicies.delete(id);
    else this.#clusterPolicies.set(id, { name, uid });
    const { conflicts, onPolicy } = this.#options;
    for (const each of conflicts.set(id, translation?.value)) {
      onPolicy(each);
      this.#reportConflicts(each);
    }
  }

  /** Which of policies of one priority decides is upstream's to leave open, and the administrator's to know. */
  #reportConflicts(id: string): void {
    const known = this.#clusterPolicies.get(id);
    const others = this.#options.conflicts.of(id).map(nameOfClusterNetworkPolicy);
    if (known === undefined || others.length === 0) return;
    const regarding = subjectOf(clusterNetworkPolicyKind, known);
    const message = `has its priority in common with ${others.join(", ")}, and may be for the same pods: the first by name decides`;
    this.#options.events.record({ regarding, type: "Warning", reason: "PriorityShared", message });
  }

  /** What comes of a policy is written on it, and is no change of the policy. */
  #isWrittenOn(id: string, object: unknown, old: unknown): boolean {
    this.#options.onPolicy(id);
    if (object === undefined || old === undefined) return false;
    return equalJson(fieldAt(object, "spec") ?? {}, fieldAt(old, "spec") ?? {});
  }

  #setPolicy(
    id: string,
    translation: Translation<Policy> | undefined,
    kind: KindDefinition,
    object: unknown,
  ): void {
    const problems = translation?.problems ?? [];
    if (problems.length > 0) this.#report(id, kind, object, problems);
    this.#options.compute.setPolicy(id, translation?.value);
  }

  #report(
    policy: string,
    kind: KindDefinition,
    object: unknown,
    problems: readonly Problem[],
  ): void {
    const { events, log } = this.#options;
    log.warn({ policy, problems }, "not understood in part");
    const parts = problems.map(({ field, message }) => `${field}: ${message}`);
    const namespace = stringOf(fieldAt(object, "metadata", "namespace"));
    const regarding = subjectOf(kind, {
      ...(namespace === undefined ? {} : { namespace }),
      name: stringOf(fieldAt(object, "metadata", "name")) ?? "",
      uid: stringOf(fieldAt(object, "metadata", "uid")) ?? "",
    });
    const message = `not understood, and closed: ${parts.join("; ")}`;
    events.record({ regarding, type: "Warning", reason: "PolicyInvalidInPart", message });
  }

  /** Name of the domain that a namespace belongs to. */
  domainOf(namespace: string): string {
    return this.#annotations.get(namespace)?.[annotation.domain] ?? defaultDomain;
  }

  /** Whether and where the pod is to have addresses. */
  #place(key: string): void {
    const pod = this.#pods.get(key);
    const endpoint = pod === undefined ? undefined : translatePod(pod);
    const uid = stringOf(fieldAt(pod, "metadata", "uid"));
    const placed =
      endpoint?.node === undefined || uid === undefined || !this.#namespaces.has(endpoint.zone)
        ? undefined
        : this.#placed(pod, { uid, node: endpoint.node, zone: endpoint.zone });
    this.#options.addresses.setPod(key, placed);
  }

  #placed(
    pod: unknown,
    { uid, node, zone }: { readonly uid: string; readonly node: string; readonly zone: string },
  ): PlacedPod {
    const ofNamespace = this.#annotations.get(zone) ?? {};
    const { request, problems } = parseAddressRequest(annotationsOf(pod), ofNamespace);
    const domain = this.domainOf(zone);
    const ips = (listOf(fieldAt(pod, "status", "podIPs")) ?? []).map((each) => fieldOf(each, "ip"));
    const addresses = ips.filter((ip) => typeof ip === "string");
    const owner = ownerOf(pod);
    const isEnding = this.#namespaces.get(zone)?.isEnding === true;
    const isStatic =
      stringOf(fieldAt(pod, "metadata", "annotations", staticPodAnnotation)) !== undefined;
    const keep = request.keep ?? (isStatic ? { seconds: staticKeepSeconds } : undefined);
    const asked = { ...request, keep };
    return { uid, node, domain, request: asked, problems, owner, addresses, isEnding };
  }

  /**
   * A pod takes the addresses of the Endpoint that was made for it, and of no other one of its name. An Endpoint that is for
   * something else has the name for itself.
   */
  #join(key: string): void {
    const pod = this.#pods.get(key);
    const endpoint = this.#endpoints.get(key);
    const isOwn = podUidOf(endpoint) === fieldAt(pod, "metadata", "uid");
    const ofPod =
      pod !== undefined && endpoint !== undefined && isOwn
        ? translatePod(pod, endpoint)
        : undefined;
    const joined = isOfPod(endpoint) ? ofPod : translateEndpoint(endpoint);
    // One that still waits for its addresses is not there yet.
    const isComplete = joined !== undefined && joined.addresses.length > 0;
    const known = isComplete ? joined : undefined;
    this.#options.compute.setEndpoint(key, known);
    this.#options.onEndpoint(key, known);
  }
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

/** What an object's annotations say of addresses. */
function annotationsOf(object: unknown): AddressAnnotations {
  const annotations = fieldAt(object, "metadata", "annotations");
  const own = Object.values(annotation).map((name) => [name, fieldOf(annotations, name)] as const);
  return Object.fromEntries(
    own.filter((entry): entry is [(typeof entry)[0], string] => typeof entry[1] === "string"),
  );
}
