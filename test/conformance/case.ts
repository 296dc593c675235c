// What conformance cases are: upstream's features and expectations, in steps, on the cluster that upstream uses: namespaces
// x, y and z with the pods a, b and c each, which listen on the ports 80 and 81 by TCP, UDP and SCTP.
import type { Family } from "../../src/net/address.ts";
import type { PortProtocol } from "../../src/net/protocol.ts";
import { type PolicySpecs, type WholeCluster, renderCluster } from "../policy-cases/objects.ts";
import type { KubeObject } from "../../src/apimachinery/kind.ts";

export interface Service {
  readonly protocol: PortProtocol;
  readonly port: number;
}

/** One connection that is tried, in both families. */
export interface Cell extends Service {
  /** `namespace/pod`. */
  readonly from: string;
  /** `namespace/pod`, or `node:n1`. */
  readonly to: string;
}

export interface ExpectedCell extends Cell {
  readonly verdict: "allow" | "deny";
}

export interface ConformanceStep {
  /** All that there are. */
  readonly policies: PolicySpecs;
  /** Of namespaces and pods, in place of their own; by `namespace` or `namespace/pod`. */
  readonly labels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Pods beside the nine, with their labels; a namespace that is not x, y or z is made for them. */
  readonly pods: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What upstream says; `undefined` where upstream computes it, and the oracle says it here. */
  readonly expected: readonly ExpectedCell[] | undefined;
}

export interface ConformanceCase {
  /** The case's name upstream; where it has none there, its features. */
  readonly upstream: string;
  readonly steps: readonly ConformanceStep[];
}

export const families = [4, 6] as const satisfies readonly Family[];
const namespaces = ["x", "y", "z"] as const;
const podNames = ["a", "b", "c"] as const;
const nodes = ["n1", "n2", "n3"] as const;

export const services: readonly Service[] = (["TCP", "UDP", "SCTP"] as const).flatMap((protocol) =>
  [80, 81].map((port) => ({ protocol, port })),
);

export const ports: Readonly<Record<string, string>> = Object.fromEntries(
  services.map(({ protocol, port }) => {
    const name = protocol.toLowerCase();
    return [`serve-${port}-${name}`, `${name}/${port}`];
  }),
);

const allPods: readonly string[] = namespaces.flatMap((namespace) =>
  podNames.map((pod) => `${namespace}/${pod}`),
);

/** The nine pods, spread so that every namespace and every name is on each node. */
export function conformanceCluster(): KubeObject[] {
  const cluster: WholeCluster = {
    nodes: {},
    nodeLabels: {},
    nodeExternalIps: {},
    namespaces: Object.fromEntries(namespaces.map((name) => [name, { ns: name }])),
    pods: Object.fromEntries(
      allPods.map((path, index) => [
        path,
        {
          node: nodes[(index + Math.floor(index / 3)) % 3] ?? "",
          labels: { pod: path.slice(-1) },
          ports,
        },
      ]),
    ),
  };
  return renderCluster(cluster, {});
}
