// Changes at random of what decides over packets: pods, their labels, namespaces' labels, policies. Names come from a few, so
// that they are used again.
import assert from "node:assert/strict";
import fc from "fast-check";
import { StatusError } from "../../src/apimachinery/errors.ts";
import type { KindDefinition } from "../../src/apimachinery/kind.ts";
import type { Manifest } from "../../src/client/manifest.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { namespaceLabelValues, podLabelValues } from "../arbitrary/labels.ts";
import { policySpecArbitrary } from "../arbitrary/network-policy.ts";
import type { TestLab } from "./harness.ts";

interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** A small generator of its own: the steps must not depend on how another test library draws. mulberry32. */
export function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export class Churn {
  readonly namespaces = ["ns1", "ns2"] as const;
  readonly #lab: TestLab;
  readonly #random: (below: number) => number;

  constructor(lab: TestLab, seed: number) {
    this.#lab = lab;
    this.#random = randomFrom(seed);
  }

  below(limit: number): number {
    return this.#random(limit);
  }

  oneOf<T>(items: readonly T[]): T {
    const item = items[this.#random(items.length)];
    assert.ok(item !== undefined);
    return item;
  }

  /** Two namespaces with five pods each, settled. */
  async begin(): Promise<void> {
    await this.#lab.apply(this.namespaces.map((name) => this.namespace(name)));
    for (const namespace of this.namespaces) {
      for (let index = 0; index < 5; index++) {
        await this.#lab.apply([this.#pod({ namespace, name: `x${index}` })]);
      }
    }
    await this.#lab.settle();
  }

  namespace(name: string): Manifest {
    const metadata = { name, labels: this.#labelsFrom(namespaceLabelValues) };
    return { apiVersion: "v1", kind: "Namespace", metadata };
  }

  /** Changes something, and says what. Changes that the API refuses are none. */
  async step(): Promise<string> {
    const place = { namespace: this.oneOf(this.namespaces), name: `x${this.#random(6)}` };
    const text = `${place.namespace}/${place.name}`;
    switch (this.#random(10)) {
      case 0:
      case 1:
        await this.#remove(podKind, place);
        return `delete pod ${text}`;
      case 2:
      case 3:
      case 4:
        await this.#put(this.#pod(place));
        return `put pod ${text}`;
      case 5:
        await this.relabel(place);
        return `relabel pod ${text}`;
      case 6:
        await this.#put(this.namespace(place.namespace));
        return `relabel namespace ${place.namespace}`;
      case 7:
        await this.#remove(networkPolicyKind, place);
        return `delete policy ${text}`;
      default:
        await this.putPolicy(place);
        return `put policy ${text}`;
    }
  }

  async relabel(place: Place): Promise<void> {
    const cleared = Object.fromEntries(Object.keys(podLabelValues).map((key) => [key, null]));
    const body = { metadata: { labels: { ...cleared, ...this.#labelsFrom(podLabelValues) } } };
    try {
      await this.#lab.client.patch(podKind, place, { type: "merge-patch+json", body });
    } catch (error) {
      if (!(error instanceof StatusError && error.status.code === 404)) throw error;
    }
  }

  async putPolicy(place: Place): Promise<void> {
    const seed = this.#random(2 ** 31);
    const [spec] = fc.sample(policySpecArbitrary(false), { seed, numRuns: 1 });
    const apiVersion = "networking.k8s.io/v1";
    await this.#put({ apiVersion, kind: "NetworkPolicy", metadata: { ...place }, spec });
  }

  #labelsFrom(values: Readonly<Record<string, readonly string[]>>): Record<string, string> {
    const chosen = Object.entries(values).filter(() => this.#random(3) > 0);
    return Object.fromEntries(chosen.map(([key, each]) => [key, this.oneOf(each)]));
  }

  #pod(place: Place): Manifest {
    const ports = [
      { name: "http", containerPort: this.oneOf([80, 8080]) },
      { name: "dns", containerPort: 53, protocol: "UDP" },
    ];
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...place, labels: this.#labelsFrom(podLabelValues) },
      spec: {
        nodeName: this.oneOf(this.#lab.nodes),
        containers: [{ name: "main", image: "any", ports }],
      },
    };
  }

  async #remove(kind: KindDefinition, place: Place): Promise<void> {
    try {
      await this.#lab.delete(kind, place);
    } catch (error) {
      if (!(error instanceof StatusError && error.status.code === 404)) throw error;
    }
  }

  async #put(manifest: Manifest): Promise<void> {
    try {
      await this.#lab.apply([manifest]);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
    }
  }
}
