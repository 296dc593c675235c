// Random ClusterNetworkPolicy specs: mostly what the API server accepts, on request some that it refuses.
import fc from "fast-check";
import { namespaceLabelValues, nodeLabelValues, podLabelValues } from "./labels.ts";
import { blocks, selectorArbitrary, weighted } from "./network-policy.ts";

type Json = fc.Arbitrary<unknown>;

const namePatterns = [
  "example.com",
  "www.Example.com.",
  "*.example.com",
  "*.b.example.com",
  "example.org",
];

function podsArbitrary(odd: boolean): Json {
  const pods = selectorArbitrary(podLabelValues, odd);
  const namespaces = selectorArbitrary(namespaceLabelValues, odd);
  return weighted(
    [3, fc.record({ namespaces })],
    [2, fc.record({ podSelector: pods }).map((selected) => ({ pods: selected }))],
    [
      3,
      fc
        .record({ podSelector: pods, namespaceSelector: namespaces })
        .map((selected) => ({ pods: selected })),
    ],
  );
}

const oddPeer: Json = fc.constantFrom(
  {},
  null,
  { serviceAccounts: {} },
  { namespaces: {}, pods: { podSelector: {} } },
  { networks: [] },
  { networks: ["10.0.0/8"] },
  { pods: { namespaceSelector: {} } },
  { domainNames: ["*"] },
);

function peerArbitrary(direction: "ingress" | "egress", odd: boolean): Json {
  const cidrs = blocks.map(([cidr]) => cidr);
  const networks = fc
    .subarray(cidrs, { minLength: 1, maxLength: 3 })
    .map((list) => ({ networks: list }));
  const nodes = selectorArbitrary(nodeLabelValues, odd).map((selector) => ({ nodes: selector }));
  const names = fc
    .subarray(namePatterns, { minLength: 1, maxLength: 2 })
    .map((list) => ({ domainNames: list }));
  const outside = direction === "egress";
  return weighted(
    [8, podsArbitrary(odd)],
    [outside ? 4 : 0, networks],
    [outside ? 3 : 0, nodes],
    [outside ? 2 : 0, names],
    [odd ? 1 : 0, oddPeer],
  );
}

const destinationPort: Json = fc.oneof(
  fc.constantFrom({ number: 80 }, { number: 53 }, { number: 8080 }, { number: 3868 }),
  fc
    .tuple(fc.constantFrom(1, 50, 79, 1000), fc.constantFrom(1, 3, 30, 4000))
    .map(([start, more]) => ({ range: { start, end: start + more } })),
);

const protocolArbitrary: Json = fc.oneof(
  fc.tuple(fc.constantFrom("tcp", "udp", "sctp"), destinationPort).map(([name, port]) => ({
    [name]: { destinationPort: port },
  })),
  fc.constantFrom("http", "dns", "sig", "nowhere").map((name) => ({ destinationNamedPort: name })),
);

const oddProtocol: Json = fc.constantFrom(
  {},
  { tcp: {} },
  { quic: {} },
  { udp: { destinationPort: { range: { start: 9, end: 8 } } } },
  { destinationNamedPort: "" },
);

function ruleArbitrary(direction: "ingress" | "egress", odd: boolean): Json {
  const peersField = direction === "ingress" ? "from" : "to";
  const protocol = weighted([20, protocolArbitrary], [odd ? 1 : 0, oddProtocol]);
  const rule = fc.record(
    {
      action: weighted(
        [8, fc.constantFrom("Accept", "Deny", "Pass")],
        [odd ? 1 : 0, fc.constant("Reject")],
      ),
      [peersField]: fc.array(peerArbitrary(direction, odd), { minLength: 1, maxLength: 2 }),
      protocols: fc.array(protocol, { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: ["action", peersField] },
  );
  return weighted(
    [30, odd ? rule : rule.filter(isAccepted)],
    [odd ? 1 : 0, fc.constantFrom(null, "all")],
  );
}

/** What the API accepts of a rule's parts it does not accept in every combination. */
function isAccepted(rule: unknown): boolean {
  const text = JSON.stringify(rule);
  const named = text.includes("destinationNamedPort");
  const portless = /"(networks|nodes|domainNames)":/.test(text);
  const names = text.includes('"domainNames":');
  return !(named && portless) && !(names && !text.includes('"action":"Accept"'));
}

/** A spec of ClusterNetworkPolicy v1alpha2; with `odd` some hold parts that are not understood. Few priorities, often equal. */
export function clusterPolicySpecArbitrary(odd: boolean): Json {
  const rules = (direction: "ingress" | "egress") =>
    fc.array(ruleArbitrary(direction, odd), { maxLength: 3 });
  return fc.record(
    {
      tier: fc.constantFrom("Admin", "Admin", "Baseline"),
      priority: weighted([9, fc.constantFrom(0, 10, 1000)], [odd ? 1 : 0, fc.constant(1001)]),
      subject: weighted([12, podsArbitrary(odd)], [odd ? 1 : 0, fc.constant({})]),
      ingress: rules("ingress"),
      egress: rules("egress"),
    },
    { requiredKeys: ["tier", "priority", "subject"] },
  );
}
