// The example of docs/ovs-pipeline.md, as node n1 knows it: a web endpoint here, its database on n2, a batch job that no
// policy concerns, and a monitor outside. The web endpoint may only speak SQL to the database; only the batch job and the
// monitor's network may come to the web endpoint.
import type { LocalDelta } from "../src/pipeline/fact.ts";
import { LocalNumbers } from "../src/pipeline/numbers.ts";
import { Pipeline } from "../src/pipeline/pipeline.ts";
import type { Delta, EndpointResource } from "../src/southbound/resources.ts";

function endpoint(name: string, host: number, node: string): EndpointResource {
  return {
    kind: "endpoint",
    id: `shop/${name}`,
    domain: "default",
    node,
    addresses: [`10.0.1.${host}`, `fd00:0:0:1::${host}`],
    mac: `0a:00:00:00:00:0${host}`,
    identity: name,
  };
}

export const exampleDelta: Delta = {
  upserts: [
    { kind: "domain", id: "default", vni: 77, pools: ["10.0.0.0/16", "fd00::/48"] },
    { kind: "node", id: "n1", addresses: ["172.18.0.11"] },
    { kind: "node", id: "n2", addresses: ["172.18.0.12"] },
    { kind: "group", id: "app=web", identities: ["web"], networks: [] },
    { kind: "group", id: "app=db", identities: ["db"], networks: [] },
    {
      kind: "group",
      id: "visitors",
      identities: ["batch"],
      networks: [{ cidr: "203.0.113.0/24", except: ["203.0.113.64/26"] }],
    },
    {
      kind: "rule",
      id: "web-to-db",
      direction: "egress",
      tier: "networkpolicy",
      priority: 0,
      action: "allow",
      subjects: ["app=web"],
      peers: ["app=db"],
      ports: [{ protocol: "TCP", from: 5432, to: 5432 }],
      policy: "NetworkPolicy/shop/web",
      ruleIndex: 0,
    },
    {
      kind: "rule",
      id: "visitors-to-web",
      direction: "ingress",
      tier: "networkpolicy",
      priority: 0,
      action: "allow",
      subjects: ["app=web"],
      peers: ["visitors"],
      ports: [{ protocol: "TCP", from: 8080, to: 8083 }],
      policy: "NetworkPolicy/shop/web",
      ruleIndex: 0,
    },
    {
      kind: "posture",
      id: "web",
      egress: ["NetworkPolicy/shop/web"],
      ingress: ["NetworkPolicy/shop/web"],
    },
    { kind: "posture", id: "batch", egress: [], ingress: [] },
    endpoint("web", 1, "n1"),
    endpoint("db", 2, "n2"),
    endpoint("batch", 3, "n1"),
  ],
  deletes: [],
};

export const exampleLocal = {
  upserts: [
    { kind: "port", id: "shop/web", ofport: 1 },
    { kind: "port", id: "shop/batch", ofport: 3 },
    { kind: "gateway", id: "default", ofport: 100, mac: "0a:00:00:00:ff:01" },
    { kind: "tunnel", id: "vxlan", ofport: 200 },
  ],
  deletes: [],
} as const satisfies LocalDelta;

/** The pipeline of n1. */
export function examplePipeline(numbers = new LocalNumbers()): Pipeline {
  const pipeline = new Pipeline({ node: "n1", numbers });
  pipeline.apply(exampleDelta);
  pipeline.applyLocal(exampleLocal);
  return pipeline;
}
