// The packets worth checking for a set of Kubernetes objects: between all pods, nodes and the edges of all blocks, at the
// edges of all port ranges.
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import { translateNode } from "../../src/kubernetes/node.ts";
import { translatePod } from "../../src/kubernetes/pod.ts";
import {
  type Family,
  formatAddress,
  parsePrefix,
  prefixContains,
  tryParseAddress,
  tryParsePrefix,
  widthOf,
} from "../../src/net/address.ts";
import { isPortProtocol, protocolNumbers } from "../../src/net/protocol.ts";
import type { Packet, PacketEnd } from "../../src/policy/packet.ts";

/** Hosts that no network of the cluster has. */
const outsideHosts = ["203.0.113.7", "198.51.100.5", "2001:db8:1::7", "2001:db8:2::5"];

/** Where policies are not asked: pods' networks (an address there is a pod or nobody), nodes, what is not routed. */
const notOutside = [
  "0.0.0.0/8",
  "10.0.0.0/16",
  "127.0.0.0/8",
  "172.18.0.0/16",
  "224.0.0.0/3",
  "::/16",
  "fd00::/48",
  "fd01::/64",
  "fe80::/10",
  "ff00::/8",
].map(parsePrefix);

/** Every value of a field anywhere in a JSON value. */
function* valuesOf(json: unknown, names: readonly string[]): Generator {
  if (Array.isArray(json)) {
    for (const item of json) yield* valuesOf(item, names);
  } else if (typeof json === "object" && json !== null) {
    for (const [name, value] of Object.entries(json)) {
      if (names.includes(name)) yield* [value].flat();
      yield* valuesOf(value, names);
    }
  }
}

/** The first and last address of every block and their outer neighbours, as far as they are outside. */
function blockEdges(policies: readonly KubeObject[]): readonly string[] {
  const edges = new Set<string>();
  for (const text of valuesOf(policies, ["cidr", "except", "networks"])) {
    const prefix = typeof text === "string" ? tryParsePrefix(text) : undefined;
    if (prefix === undefined) continue;
    const { family, bits, length } = prefix;
    const last = bits + (1n << BigInt(widthOf(family) - length)) - 1n;
    for (const edge of [bits - 1n, bits, last, last + 1n]) {
      const address = { family, bits: edge };
      if (edge < 0n || edge >> BigInt(widthOf(family)) !== 0n) continue;
      if (!notOutside.some((each) => prefixContains(each, address)))
        edges.add(formatAddress(address));
    }
  }
  return [...edges];
}

type Service = Pick<Packet, "protocol" | "destinationPort">;

function servicesWorthChecking(objects: readonly KubeObject[]): readonly Service[] {
  const ports = new Set([1, 443]);
  for (const port of valuesOf(objects, [
    "port",
    "endPort",
    "containerPort",
    "number",
    "start",
    "end",
  ])) {
    if (typeof port !== "number") continue;
    for (const near of [port - 1, port, port + 1]) {
      if (Number.isInteger(near) && near > 0 && near < 65536) ports.add(near);
    }
  }
  const protocols = Object.keys(protocolNumbers).filter(isPortProtocol);
  return [
    { protocol: "ICMP" },
    ...protocols.flatMap((protocol) =>
      [...ports].map((destinationPort) => ({ protocol, destinationPort })),
    ),
  ];
}

interface End {
  readonly end: PacketEnd;
  readonly families: readonly Family[];
  /** Whether policies are enforced there. */
  readonly pod: boolean;
}

function familiesOf(addresses: readonly string[]): readonly Family[] {
  return addresses
    .map((text) => tryParseAddress(text)?.family)
    .filter((each) => each !== undefined);
}

function endsOf(objects: readonly KubeObject[]): readonly End[] {
  const ends: End[] = [];
  for (const object of objects) {
    const pod = object.kind === "Pod" ? translatePod(object) : undefined;
    if (pod !== undefined) {
      const families = familiesOf(pod.addresses);
      ends.push({ end: { kind: "endpoint", id: pod.id }, families, pod: true });
    }
    const node = object.kind === "Node" ? translateNode(object) : undefined;
    if (node !== undefined) {
      const families = familiesOf(node.addresses);
      ends.push({ end: { kind: "node", name: node.name }, families, pod: false });
    }
  }
  const policies = objects.filter(({ kind }) => kind.endsWith("NetworkPolicy"));
  for (const address of new Set([...outsideHosts, ...blockEdges(policies)])) {
    ends.push({ end: { kind: "address", address }, families: familiesOf([address]), pod: false });
  }
  return ends;
}

/** Every packet worth checking: thousands for a small cluster. At least one end is a pod. */
function allPackets(objects: readonly KubeObject[]): readonly Packet[] {
  const ends = endsOf(objects);
  const services = servicesWorthChecking(objects);
  const packets: Packet[] = [];
  for (const source of ends) {
    for (const destination of ends) {
      if (!source.pod && !destination.pod) continue;
      for (const family of source.families.filter((each) => destination.families.includes(each))) {
        for (const service of services) {
          packets.push({ source: source.end, destination: destination.end, ...service, family });
        }
      }
    }
  }
  return packets;
}

/** Up to `count` of them in random order, the same for the same seed: for judges that are slow. */
export function somePackets(
  objects: readonly KubeObject[],
  { count, seed }: { readonly count: number; readonly seed: number },
): readonly Packet[] {
  const packets = [...allPackets(objects)];
  const chosen: Packet[] = [];
  // Fisher-Yates as far as needed, with the minimal standard generator (Park and Miller, 1988).
  let state = (Math.abs(seed) % 2147483646) + 1;
  while (chosen.length < count && packets.length > 0) {
    state = (state * 48271) % 2147483647;
    const index = state % packets.length;
    const last = packets.pop();
    const picked = index < packets.length ? packets[index] : last;
    if (last !== undefined && index < packets.length) packets[index] = last;
    if (picked !== undefined) chosen.push(picked);
  }
  return chosen;
}

function formatEnd(end: PacketEnd): string {
  if (end.kind === "endpoint") return end.id;
  return end.kind === "node" ? `node:${end.name}` : end.address;
}

/** For messages: `ns1/p0 -> 203.0.113.7 tcp/80 v4`. */
export function formatPacket(packet: Packet): string {
  const { source, destination, protocol, destinationPort, family } = packet;
  const port = destinationPort === undefined ? "" : `/${destinationPort}`;
  const service = `${protocol.toLowerCase()}${port}`;
  return `${formatEnd(source)} -> ${formatEnd(destination)} ${service} v${family}`;
}
