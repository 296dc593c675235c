// Random small clusters with random policies, as Kubernetes objects. Few names, keys and values, so that selectors often
// nearly match: that is where mistakes live.
import fc from "fast-check";
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import { type PodDescription, type WholeCluster, renderCluster } from "../policy-cases/objects.ts";
import { namespaceLabelValues, podLabelValues } from "./labels.ts";
import { clusterPolicySpecArbitrary } from "./cluster-network-policy.ts";
import { policySpecArbitrary } from "./network-policy.ts";

const nodes = {
  n1: ["172.18.0.11", "fd01::11"],
  n2: ["172.18.0.12", "fd01::12"],
  n3: ["172.18.0.13", "fd01::13"],
} as const;

type Labels = Readonly<Record<string, string>>;

/** Labels with some of the keys. */
function someOf(values: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<Labels> {
  const options = Object.fromEntries(
    Object.entries(values).map(([key, each]) => [
      key,
      fc.option(fc.constantFrom(...each), { nil: undefined }),
    ]),
  );
  return fc
    .record(options)
    .map((labels) =>
      Object.fromEntries(
        Object.entries(labels).filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
    );
}

/** TCP and UDP share names, and pods differ in the numbers. */
const portsArbitrary = fc.record(
  {
    http: fc.subarray(["tcp/80", "tcp/8080", "udp/80"], { minLength: 1, maxLength: 2 }),
    dns: fc.subarray(["udp/53", "tcp/53", "tcp/5353"], { minLength: 1, maxLength: 2 }),
    sig: fc.constantFrom(["sctp/3868"], ["sctp/3869"]),
  },
  { requiredKeys: [] },
);

function podArbitrary(network: number, host: number): fc.Arbitrary<PodDescription> {
  const v4 = `10.0.${network}.${host}`;
  const v6 = `fd00:0:0:${network}::${host.toString(16)}`;
  return fc.record({
    node: fc.constantFrom(...Object.keys(nodes)),
    labels: someOf(podLabelValues),
    ports: portsArbitrary,
    addresses: fc.oneof(
      { arbitrary: fc.constant([v4, v6]), weight: 8 },
      { arbitrary: fc.constant([v4]), weight: 1 },
      { arbitrary: fc.constant([v6]), weight: 1 },
    ),
  });
}

const namespaceNames = ["ns1", "ns2", "ns3", "ns4"];

/** 2 to 4 namespaces, 3 to 10 pods on 3 nodes; pods' addresses are 10.0.x.y and fd00:0:0:x::y, x the namespace from 1. */
const clusterArbitrary: fc.Arbitrary<WholeCluster> = fc
  .record({
    namespaces: fc.array(someOf(namespaceLabelValues), { minLength: 2, maxLength: 4 }),
    places: fc.array(fc.nat({ max: 3 }), { minLength: 3, maxLength: 10 }),
  })
  .chain(({ namespaces, places }) =>
    fc.record({
      nodes: fc.constant(nodes),
      nodeLabels: fc.constant({ n1: { role: "edge" }, n2: { role: "work" }, n3: {} }),
      nodeExternalIps: fc.constant({}),
      namespaces: fc.constant(
        Object.fromEntries(namespaces.map((labels, i) => [namespaceNames[i] ?? "", labels])),
      ),
      pods: fc.record(
        Object.fromEntries(
          places.map((place, i) => {
            const network = place % namespaces.length;
            return [`${namespaceNames[network]}/p${i}`, podArbitrary(network + 1, i + 1)];
          }),
        ),
      ),
    }),
  );

export interface ScenarioOptions {
  /** Most policies in a scenario; 5 when not given. */
  readonly policies?: number;
  /** Whether some policies hold what the API server would refuse; true when not given. */
  readonly odd?: boolean;
  /** Most ClusterNetworkPolicies in a scenario; 3 when not given. */
  readonly clusterPolicies?: number;
}

/** Objects of the kinds that `PolicyCase.objects` has. */
export function scenarioArbitrary(options: ScenarioOptions = {}): fc.Arbitrary<KubeObject[]> {
  const { policies = 5, odd = true, clusterPolicies = 3 } = options;
  const spec = policySpecArbitrary(odd);
  const clusterSpecs = fc.array(clusterPolicySpecArbitrary(odd), { maxLength: clusterPolicies });
  return clusterArbitrary.chain((cluster) => {
    const placed = fc.tuple(fc.constantFrom(...Object.keys(cluster.namespaces)), spec);
    return fc
      .tuple(fc.array(placed, { maxLength: policies }), clusterSpecs)
      .map(([specs, ofCluster]) =>
        renderCluster(cluster, {
          ...Object.fromEntries(specs.map(([namespace, each], i) => [`${namespace}/q${i}`, each])),
          ...Object.fromEntries(ofCluster.map((each, i) => [`c${i}`, each])),
        }),
      );
  });
}

/** The same objects for the same seed: for tests that want a scenario without a property. */
export function sampleScenario(seed: number, options: ScenarioOptions = {}): KubeObject[] {
  const [objects] = fc.sample(scenarioArbitrary(options), { seed, numRuns: 1 });
  if (objects === undefined) throw new Error("fast-check gave no sample");
  return objects;
}
