// The shapes of the performance tests in Antrea's pkg/controller/networkpolicy/networkpolicy_controller_perf_test.go, as
// model objects: same numbers of namespaces, pods and policies, same labels and selectors, pods on 1,000 random nodes.
import type { Endpoint, Zone } from "../src/model/endpoint.ts";
import type { EndpointSelector, LabelSelector, Peer, Policy } from "../src/model/policy.ts";

export interface Workload {
  readonly zones: readonly Zone[];
  readonly endpoints: readonly Endpoint[];
  readonly policies: readonly Policy[];
}

type Labels = Readonly<Record<string, string>>;

export const nodeCount = 1000;

/** A small generator of good quality (SplitMix32), so that every run and every contender sees the same objects. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
  };
}

class Builder implements Workload {
  readonly zones: Zone[] = [];
  readonly endpoints: Endpoint[] = [];
  readonly policies: Policy[] = [];
  readonly #random = randomNumbers(1);

  name(): string {
    return Array.from({ length: 8 }, () =>
      "bcdfghjklmnpqrstvwxz2456789".charAt(this.#random(27)),
    ).join("");
  }

  zone(labels: Labels = {}): string {
    const name = this.name();
    this.zones.push({ name, labels: { app: name, ...labels } });
    return name;
  }

  pod(zone: string, labels: Labels): void {
    const number = this.endpoints.length;
    this.endpoints.push({
      id: `${zone}/pod-${number}`,
      zone,
      labels,
      namedPorts: [],
      domain: "default",
      addresses: [`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`],
      mac: `0a:58:0a:${hexOctet(number >> 16)}:${hexOctet(number >> 8)}:${hexOctet(number)}`,
      node: `node-${this.#random(nodeCount)}`,
    });
  }

  /** Isolates in both directions; lets in what `from` selects, if it is given. */
  policy(zone: string, subject: Labels, from?: Labels, fromZones?: Labels): void {
    this.policies.push({
      id: `NetworkPolicy/${zone}/np-${this.policies.length}`,
      tier: "networkpolicy",
      priority: 0,
      subject: { zones: { kind: "name", name: zone }, endpoints: equalTo(subject) },
      isolates: ["ingress", "egress"],
      ingress:
        from === undefined
          ? []
          : [
              {
                index: 0,
                action: "allow",
                peers: [peerOf(zone, from, fromZones)],
                services: "any",
              },
            ],
      egress: [],
    });
  }
}

function hexOctet(number: number): string {
  return (number & 255).toString(16).padStart(2, "0");
}

function equalTo(matchLabels: Labels): LabelSelector {
  return { matchLabels, matchExpressions: [] };
}

function peerOf(zone: string, labels: Labels, zoneLabels?: Labels): Peer {
  const zones: EndpointSelector["zones"] =
    zoneLabels === undefined
      ? { kind: "name", name: zone }
      : { kind: "labels", selector: equalTo(zoneLabels) };
  return { kind: "endpoints", zones, endpoints: equalTo(labels) };
}

function times(count: number, body: (index: number) => void): void {
  for (let index = 0; index < count; index++) body(index);
}

/** 25,000 namespaces of 4 pods and 3 policies. */
function smallNamespaces(scale: number): Workload {
  const build = new Builder();
  times(25_000 * scale, () => {
    const zone = build.zone();
    build.policy(zone, {});
    for (const label of [{ "app-1": "scale-1" }, { "app-2": "scale-2" }]) {
      build.policy(zone, label, label);
      times(2, () => build.pod(zone, label));
    }
  });
  return build;
}

/** 100 namespaces of 1,000 pods and 101 policies. */
function largeNamespaces(scale: number): Workload {
  const build = new Builder();
  times(100 * scale, () => {
    const zone = build.zone();
    build.policy(zone, {});
    times(100, (index) => {
      const label = { [`app-${index}`]: `scale-${index}` };
      build.policy(zone, label, label);
      times(10, () => build.pod(zone, label));
    });
  });
  return build;
}

/** One namespace of 10,000 pods and 10,000 policies, each of which selects all pods twice. */
function oneNamespace(scale: number): Workload {
  const build = new Builder();
  const zone = build.zone();
  const label = { "app-1": "scale-1" };
  times(10_000 * scale, () => {
    build.policy(zone, label, label);
    build.pod(zone, label);
  });
  return build;
}

/** One namespace of 10,000 pods, each with a policy that lets one other pod in. */
function policyPerPod(scale: number): Workload {
  const build = new Builder();
  const zone = build.zone();
  times(5_000 * scale, () => {
    const [one, two] = [{ app: `scale-${build.name()}` }, { app: `scale-${build.name()}` }];
    build.policy(zone, one, two);
    build.policy(zone, two, one);
    build.pod(zone, one);
    build.pod(zone, two);
  });
  return build;
}

/** 1,000 namespaces of 100 pods and 10 policies, each of which lets in pods of 10 namespaces by their labels. */
function acrossNamespaces(scale: number): Workload {
  const build = new Builder();
  times(1_000 * scale, (index) => {
    const company = { company: `company-${index % 100}` };
    const zone = build.zone(company);
    times(10, (app) => {
      const label = { app: `scale-${app}` };
      build.policy(zone, label, label, company);
      times(10, () => build.pod(zone, label));
    });
  });
  return build;
}

export interface WorkloadKind {
  /** `scale` 1 is Antrea's size. */
  readonly build: (scale: number) => Workload;
  /** Seconds and MB (largest heap) that Antrea publishes in that file. */
  readonly antrea?: { readonly seconds: number; readonly megabytes: number };
}

export const workloads = {
  "small-namespaces": { build: smallNamespaces, antrea: { seconds: 6.1, megabytes: 1626 } },
  "large-namespaces": { build: largeNamespaces },
  "one-namespace": { build: oneNamespace, antrea: { seconds: 10.66, megabytes: 1157 } },
  "policy-per-pod": { build: policyPerPod },
  "across-namespaces": { build: acrossNamespaces },
} as const satisfies Record<string, WorkloadKind>;
