// Cutting connections judges with the agent's resources; it must never have an opinion of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Readmission } from "../src/agent/connections/readmission.ts";
import { Compute } from "../src/compute/graph.ts";
import { type PortProtocol, protocolNumbers } from "../src/net/protocol.ts";
import { reservedDecisions } from "../src/pipeline/cookie.ts";
import type { Resource, ResourceKind } from "../src/southbound/resources.ts";
import { clusterArbitrary, nodeNames, portNumbers } from "./compute/arbitrary.ts";
import { Enforcement } from "./compute/enforcement.ts";
import { type NodeState, applyTo, stateFrom } from "./compute/world.ts";

type ResourceOf<Kind extends ResourceKind> = Extract<Resource, { kind: Kind }>;

function ofKind<Kind extends ResourceKind>(state: NodeState, kind: Kind): ResourceOf<Kind>[] {
  return [...state.values()].filter(
    (resource): resource is ResourceOf<Kind> => resource.kind === kind,
  );
}

const open = BigInt(reservedDecisions.open);
const outside = ["198.51.100.7", "10.1.2.3"];
let cuts = 0;
let kept = 0;

function check(node: string, state: NodeState): void {
  const enforcement = new Enforcement(node, state);
  const endpoints = ofKind(state, "endpoint");
  const domains = ofKind(state, "domain").map(({ id }) => id);
  const readmission = new Readmission({
    rules: ofKind(state, "rule"),
    posture: (id: string) => ofKind(state, "posture").find((one) => one.id === id),
    group: (id: string) => ofKind(state, "group").find((one) => one.id === id),
    namesOf: () => [],
    endpointAt: (zone: number, address: string) =>
      endpoints.find((one) => one.domain === domains[zone] && one.addresses.includes(address)),
  });
  for (const [zone, domain] of domains.entries()) {
    const addresses = endpoints
      .filter((one) => one.domain === domain)
      .flatMap((one) => one.addresses);
    const ends = [...addresses.slice(0, 6), ...outside];
    for (const source of ends) {
      for (const destination of ends) {
        if (source.includes(":") !== destination.includes(":")) continue;
        for (const protocol of ["TCP", "UDP"] as const satisfies readonly PortProtocol[]) {
          const port = portNumbers[(source.length + destination.length) % portNumbers.length] ?? 0;
          const packet = { domain, source, destination, protocol, port };
          const egress = enforcement.decide(packet, "egress");
          const ingress = enforcement.decide(packet, "ingress");
          const label =
            (egress === undefined ? 0n : open) | ((ingress === undefined ? 0n : open) << 32n);
          const actual = readmission.admits({
            protocol: protocolNumbers[protocol],
            source,
            destination,
            sourcePort: 40_000,
            destinationPort: port,
            server: destination,
            serverPort: port,
            zone,
            label,
            icmp: undefined,
          });
          const expected = egress !== "deny" && ingress !== "deny";
          assert.equal(actual, expected, `${node}: ${JSON.stringify(packet)}`);
          if (expected) kept += 1;
          else cuts += 1;
        }
      }
    }
  }
}

test("a connection is cut exactly when its node would not admit it", () => {
  fc.assert(
    fc.property(clusterArbitrary, (changes) => {
      const compute = new Compute();
      for (const change of changes) applyTo(compute, change);
      compute.flush();
      for (const node of nodeNames) check(node, stateFrom(compute.stateOf(node)));
    }),
    { numRuns: 60 },
  );
  assert.ok(cuts > 100 && kept > 100, `${cuts} cut, ${kept} kept`);
});

test("a group that cannot be read in part keeps no connection and no judgement from being made", () => {
  const subject = { kind: "group", id: "web", identities: ["web"], networks: [] } as const;
  const networks = [
    { cidr: "no prefix", except: [] },
    { cidr: "198.51.100.0/24", except: ["nor this"] },
    { cidr: "203.0.113.0/24", except: [] },
  ];
  const groups = { web: subject, peers: { ...subject, id: "peers", identities: [], networks } };
  const rule = {
    kind: "rule",
    id: "in",
    direction: "ingress",
    tier: "networkpolicy",
    priority: 0,
    action: "allow",
    subjects: ["web"],
    peers: ["peers"],
    ports: "any",
    policy: "in",
    ruleIndex: 0,
  } as const;
  const web = { kind: "endpoint", id: "web", domain: "d", node: "n", mac: "" } as const;
  const readmission = new Readmission({
    rules: [rule],
    posture: (id) => ({ kind: "posture", id, ingress: ["in"], egress: [] }),
    group: (id) => (id === "web" || id === "peers" ? groups[id] : undefined),
    namesOf: () => [],
    endpointAt: (_zone, address) =>
      address === "10.0.0.1" ? { ...web, addresses: [address], identity: "web" } : undefined,
  });
  const from = (source: string): boolean =>
    readmission.admits({
      protocol: 47,
      source,
      destination: "10.0.0.1",
      sourcePort: 0,
      destinationPort: 0,
      server: "10.0.0.1",
      serverPort: 0,
      zone: 1,
      label: open << 32n,
      icmp: undefined,
    });
  assert.deepEqual(["203.0.113.9", "198.51.100.7", "192.0.2.1"].map(from), [true, false, false]);
});
