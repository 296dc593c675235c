// Turns what the API server holds into the inputs of the controller's two cores: the compute graph and the addresses.
// Keys are `namespace/name`, or names for kinds without a namespace. An object is `undefined` once it is gone.
import type { KindDefinition } from "../apimachinery/kind.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import type { AddressSpace } from "../ipam/address-space.ts";
import {
  clusterNetworkPolicyId,
  translateClusterNetworkPolicy,
} from "../kubernetes/cluster-network-policy.ts";
import { translateDomain } from "../kubernetes/domain.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { networkPolicyKind } from "../kinds/network-policy.ts";
import { fieldAt, listOf, type Problem, stringOf, type Translation } from "../kubernetes/json.ts";
import { translateNamespace } from "../kubernetes/namespace.ts";
import { translateNetworkPolicy } from "../kubernetes/network-policy.ts";
import { translateNode } from "../kubernetes/node.ts";
import { defaultDomain, translatePod } from "../kubernetes/pod.ts";
import type { Policy } from "../model/policy.ts";
import type { Log } from "../runtime/log.ts";
import type { AddressController, KnownEndpoint } from "./address-controller.ts";
import type { ModelInputs } from "./source-model.ts";

/** On a Namespace: the domain that its pods get their addresses from. */
const domainAnnotation = "isobar.io/domain";

export interface ModelFeedOptions {
  readonly compute: ModelInputs;
  readonly addresses: AddressController;
  readonly space: AddressSpace;
  /** The pod's addresses may have to be allocated or given back. */
  readonly onPod: (key: string) => void;
  readonly events: EventSink;
  readonly log: Log;
}

export class ModelFeed {
  readonly #options: ModelFeedOptions;
  readonly #pods = new Map<string, unknown>();
  readonly #podsByNamespace = new Map<string, Set<string>>();
  readonly #endpoints = new Map<string, unknown>();
  readonly #domains = new Map<string, string>();

  constructor(options: ModelFeedOptions) {
    this.#options = options;
  }

  setNamespace(name: string, object: unknown): void {
    this.#options.compute.setZone(
      name,
      object === undefined ? undefined : translateNamespace(object),
    );
    const domain = stringOf(fieldAt(object, "metadata", "annotations", domainAnnotation));
    if (domain === this.#domains.get(name)) return;
    if (domain === undefined) this.#domains.delete(name);
    else this.#domains.set(name, domain);
    for (const key of this.#podsByNamespace.get(name) ?? []) this.#place(key);
  }

  setPod(key: string, object: unknown): void {
    const namespace = key.slice(0, key.indexOf("/"));
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
  }

  /** `old` is the object that is gone when `object` is undefined. */
  setEndpoint(key: string, object: unknown, old: unknown): void {
    if (object === undefined) {
      this.#endpoints.delete(key);
      this.#options.addresses.removeEndpoint(key, knownEndpoint(key, old).uid);
    } else {
      this.#endpoints.set(key, object);
      this.#options.addresses.setEndpoint(key, knownEndpoint(key, object));
    }
    this.#options.onPod(key);
    this.#join(key);
  }

  setNetwork(key: string, object: unknown): void {
    const domain = stringOf(fieldAt(object, "spec", "domain"));
    const cidrs = (listOf(fieldAt(object, "spec", "cidrs")) ?? []).map(String);
    const zone = key.slice(0, key.indexOf("/"));
    const network =
      object === undefined || domain === undefined ? undefined : { domain, zone, cidrs };
    try {
      this.#options.space.setNetwork(key, network);
    } catch (error) {
      this.#options.log.error({ network: key, err: error }, "network left out");
    }
  }

  setDomain(name: string, object: unknown): void {
    const domain = object === undefined ? undefined : translateDomain(object);
    this.#options.compute.setDomain(name, domain);
    const length = fieldAt(object, "spec", "networkPrefixLength");
    this.#options.space.setDomain(
      name,
      domain && {
        pools: domain.pools,
        networkLength: {
          4: Number(fieldAt(length, "ipv4") ?? 24),
          6: Number(fieldAt(length, "ipv6") ?? 64),
        },
      },
    );
  }

  setNode(name: string, object: unknown): void {
    this.#options.compute.setNode(name, object === undefined ? undefined : translateNode(object));
  }

  setNetworkPolicy(key: string, object: unknown): void {
    const translation = object === undefined ? undefined : translateNetworkPolicy(object);
    this.#setPolicy(`NetworkPolicy/${key}`, translation, networkPolicyKind, object);
  }

  setClusterNetworkPolicy(name: string, object: unknown): void {
    const translation = object === undefined ? undefined : translateClusterNetworkPolicy(object);
    this.#setPolicy(clusterNetworkPolicyId(name), translation, clusterNetworkPolicyKind, object);
  }

  /** Every pod and every Endpoint object, to be looked at once the caches are complete. */
  *keys(): Generator<string, void, undefined> {
    yield* this.#pods.keys();
    yield* this.#endpoints.keys();
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

  /** Whether and where the pod is to have addresses. */
  #place(key: string): void {
    const pod = this.#pods.get(key);
    const endpoint = pod === undefined ? undefined : translatePod(pod);
    const uid = stringOf(fieldAt(pod, "metadata", "uid"));
    const placed =
      endpoint?.node === undefined || uid === undefined
        ? undefined
        : { uid, node: endpoint.node, domain: this.#domains.get(endpoint.zone) ?? defaultDomain };
    this.#options.addresses.setPod(key, placed);
    this.#options.onPod(key);
  }

  /** A pod takes the addresses of the Endpoint that was made for it, and of no other one of its name. */
  #join(key: string): void {
    const pod = this.#pods.get(key);
    const endpoint = this.#endpoints.get(key);
    const isOwn = podUidOf(endpoint) === fieldAt(pod, "metadata", "uid");
    const joined =
      pod === undefined || endpoint === undefined || !isOwn
        ? undefined
        : translatePod(pod, endpoint);
    this.#options.compute.setEndpoint(key, joined);
  }
}

function podUidOf(endpoint: unknown): string | undefined {
  return stringOf(fieldAt(endpoint, "spec", "attachment", "uid"));
}

/** What the address controller needs of an Endpoint object. */
export function knownEndpoint(key: string, object: unknown): KnownEndpoint {
  const namespace = key.slice(0, key.indexOf("/"));
  return {
    uid: stringOf(fieldAt(object, "metadata", "uid")) ?? "",
    version: Number(fieldAt(object, "metadata", "resourceVersion")),
    ofPod: fieldAt(object, "spec", "attachment", "kind") === "Pod",
    podUid: podUidOf(object),
    node: stringOf(fieldAt(object, "spec", "node")) ?? "",
    domain: stringOf(fieldAt(object, "spec", "domain")) ?? "",
    network: `${namespace}/${stringOf(fieldAt(object, "spec", "network")) ?? ""}`,
    addresses: (listOf(fieldAt(object, "spec", "addresses")) ?? []).map(String),
  };
}
