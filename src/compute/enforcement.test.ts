import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scenarioArbitrary } from "../../test/arbitrary/cluster.ts";
import {
  clusterArbitrary as modelArbitrary,
  nodeNames,
  portNumbers,
} from "../../test/compute/arbitrary.ts";
import { Enforcement, type WirePacket } from "../../test/compute/enforcement.ts";
import { World, applyTo, stateFrom } from "../../test/compute/world.ts";
import { translateCluster } from "../kubernetes/cluster.ts";
import { type Endpoint, everyNode } from "../model/endpoint.ts";
import { formatAddress, parseAddress } from "../net/address.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { PacketEnd } from "../policy/packet.ts";
import { PolicyModel } from "../policy/policy-model.ts";
import { Compute } from "./graph.ts";

/** The data plane of a world: one model of enforcement for each node. */
function enforcements(world: World): readonly Enforcement[] {
  const compute = new Compute();
  for (const change of world.changes()) applyTo(compute, change);
  compute.flush();
  const nodes = new Set([...world.nodes.keys(), ...nodeNames]);
  return Array.from(nodes, (node) => new Enforcement(node, stateFrom(compute.stateOf(node))));
}

/** Where one end is nowhere, nothing is enforced for it; where both are, the question says nothing. */
function outcome(nodes: readonly Enforcement[], packet: WirePacket): "allow" | "deny" {
  const verdicts = (["egress", "ingress"] as const).flatMap((direction) =>
    nodes.map((node) => node.decide(packet, direction)),
  );
  return verdicts.includes("deny") ? "deny" : "allow";
}

function isPlaced(world: World, endpoint: Endpoint): boolean {
  const { node } = endpoint;
  // What every node answers itself is judged where its peers are, and has no policies of its own.
  return (
    node !== undefined &&
    node !== everyNode &&
    endpoint.addresses.length > 0 &&
    world.zones.has(endpoint.zone)
  );
}

interface Case {
  readonly packet: WirePacket;
  readonly source: PacketEnd;
  readonly destination: PacketEnd;
}

function canonical(text: string): string {
  return formatAddress(parseAddress(text));
}

/** Every endpoint with every other in its domain, with hosts outside and with nodes, in both directions and families. */
function* cases(world: World, ports: readonly number[]): Generator<Case, void, undefined> {
  const placed = [...world.endpoints.values()].filter((endpoint) => isPlaced(world, endpoint));
  const outside = ["192.0.2.77", "203.0.113.77", "2001:db8:f::1", "2001:db8:1::7"];
  const underlay = [...world.nodes.values()].flatMap((node) => node.knownAddresses.map(canonical));
  for (const { domain, addresses } of placed) {
    const peers = placed.filter((peer) => peer.domain === domain);
    const others = new Set([...outside, ...underlay, ...peers.flatMap((peer) => peer.addresses)]);
    for (const mine of addresses) {
      for (const other of others) {
        if (mine.includes(":") !== other.includes(":")) continue;
        for (const [source, destination] of [
          [mine, other],
          [other, mine],
        ] as const) {
          for (const protocol of ["TCP", "UDP", "ICMP"] as const) {
            for (const port of protocol === "ICMP" ? [0] : ports) {
              yield {
                packet: { domain, source, destination, protocol, port },
                source: { kind: "address", address: source },
                destination: { kind: "address", address: destination },
              };
            }
          }
        }
      }
    }
  }
}

function compare(world: World, ports: readonly number[]): void {
  const model = new PolicyModel({
    zones: [...world.zones.values()],
    endpoints: [...world.endpoints.values()].filter((endpoint) => isPlaced(world, endpoint)),
    domains: [...world.domains.values()],
    nodes: [...world.nodes.values()],
    policies: [...world.policies.values()],
  });
  const nodes = enforcements(world);
  for (const { packet, source, destination } of cases(world, ports)) {
    const expected = evaluate(model, {
      source,
      destination,
      protocol: packet.protocol,
      domain: packet.domain,
      family: packet.source.includes(":") ? 6 : 4,
      ...(packet.protocol === "ICMP" ? {} : { destinationPort: packet.port }),
    });
    const text = `${JSON.stringify(packet)}: ${JSON.stringify(expected)}`;
    assert.equal(outcome(nodes, packet), expected.verdict, text);
  }
}

test("nodes that enforce what they are told decide as the evaluator does", () => {
  const property = fc.property(modelArbitrary, (changes) => {
    compare(World.of(changes), [...portNumbers, 7]);
  });
  fc.assert(property, { numRuns: 60 });
});

test("a Kubernetes cluster's nodes decide as the evaluator does", () => {
  const property = fc.property(scenarioArbitrary(), (objects) => {
    const cluster = translateCluster(objects);
    const world = World.of([
      ...cluster.zones.map((value) => ({ kind: "zone" as const, id: value.name, value })),
      ...cluster.endpoints.map((value) => ({ kind: "endpoint" as const, id: value.id, value })),
      ...cluster.domains.map((value) => ({ kind: "domain" as const, id: value.name, value })),
      ...cluster.nodes.map((value) => ({ kind: "node" as const, id: value.name, value })),
      ...cluster.policies.map((value) => ({ kind: "policy" as const, id: value.id, value })),
    ]);
    compare(world, [53, 80, 8080, 3868]);
  });
  fc.assert(property, { numRuns: 40 });
});
