// The agent's ports on its bridge: names, labels in the switch's database, and what they mean to the pipeline.
import { createHash } from "node:crypto";
import { formatMac } from "../net/mac.ts";
import type { LocalDelta, PortsFact } from "../pipeline/fact.ts";
import { type BridgePort, type PortConfig, vxlanPort } from "../switch/ovs-bridge.ts";
import type { StoredAttachment } from "./state-file.ts";

/** Ports that every node has, with the numbers that the switch is asked for. */
export const ownPorts = {
  tunnel: { name: "isobar-vxlan", ofport: 1 },
  gateway: { name: "isobar-gw", ofport: 2 },
} as const;

/** Numbers that attachments ask for. */
const firstOfport = 16;
const lastOfport = 65_000;

/** MAC of the node's end of the gateway port; every node has the same, nothing of it leaves the node. */
const gatewayMac = formatMac(0x0a_15_0b_a2_00_02n);

const portPattern = /^iso[0-9a-f]{12}$/;

/** The switch's port for a container's interface: the same at every attempt, and as long as Linux allows. */
export function portNameOf(container: string, interfaceName: string): string {
  const digest = createHash("sha256").update(`${container}\0${interfaceName}`).digest("hex");
  return `iso${digest.slice(0, 12)}`;
}

export function isAttachmentPort(name: string): boolean {
  return portPattern.test(name);
}

/** What is known of the node that decides about its own ports. */
export interface OwnPortFacts {
  /** Of VXLAN. */
  readonly udpPort: number;
  /** The node's end of the tunnels: the others take tunnelled packets from this address only. */
  readonly vtep?: string | undefined;
  /** Of the gateway: a switch in user space would else take it from whatever port comes next. */
  readonly mtu?: number;
}

export function ownPortConfigs({ udpPort, vtep, mtu }: OwnPortFacts): readonly PortConfig[] {
  const { tunnel, gateway } = ownPorts;
  const externalIds = { "isobar-role": "own" };
  const options = {
    dst_port: String(udpPort),
    ...(vtep === undefined ? {} : { local_ip: vtep }),
  };
  return [
    { ...vxlanPort(tunnel.name, options), ofportRequest: tunnel.ofport, externalIds },
    {
      name: gateway.name,
      type: "internal",
      mac: gatewayMac,
      ...(mtu === undefined ? {} : { mtuRequest: mtu }),
      ofportRequest: gateway.ofport,
      externalIds,
    },
  ];
}

/** The labels hold all that is needed to know the attachment again without the agent's own file. */
export function attachmentPortConfig(attachment: StoredAttachment): PortConfig {
  return {
    name: attachment.port,
    ofportRequest: attachment.ofportRequest,
    externalIds: {
      "isobar-endpoint": attachment.endpoint,
      "isobar-container": attachment.container,
      "isobar-interface": attachment.interface,
      "isobar-netns": attachment.netns,
      "isobar-attached": String(attachment.attachedMs),
      ...(attachment.uid === undefined ? {} : { "isobar-uid": attachment.uid }),
      ...(attachment.network === undefined ? {} : { "isobar-network": attachment.network }),
    },
  };
}

/** `undefined` for a port that is no attachment. */
export function attachmentOf(port: BridgePort): StoredAttachment | undefined {
  const { externalIds: ids } = port;
  const endpoint = ids["isobar-endpoint"];
  const container = ids["isobar-container"];
  if (endpoint === undefined || container === undefined) return undefined;
  const { "isobar-uid": uid, "isobar-network": network } = ids;
  return {
    port: port.name,
    endpoint,
    ...(uid === undefined ? {} : { uid }),
    ...(network === undefined ? {} : { network }),
    container,
    interface: ids["isobar-interface"] ?? "",
    netns: ids["isobar-netns"] ?? "",
    ofportRequest: port.ofport ?? 0,
    attachedMs: Number(ids["isobar-attached"] ?? 0),
  };
}

/** A number that no attachment asked for; the longest unused first, so that no flow still names it. */
export function nextOfport(used: ReadonlySet<number>, last: number): number {
  for (let step = 1; step <= lastOfport - firstOfport; step++) {
    const span = lastOfport - firstOfport + 1;
    const ofport =
      firstOfport + ((Math.max(last, firstOfport - 1) - firstOfport + step + span) % span);
    if (!used.has(ofport)) return ofport;
  }
  throw new RangeError("the switch has no port numbers left");
}

export interface FactSources {
  readonly ports: ReadonlyMap<string, BridgePort>;
  readonly gatewayDomain: string;
  /** Uids of an endpoint's object; `undefined` for an endpoint that is not known. */
  readonly uidsOf: (endpoint: string) => readonly string[] | undefined;
}

/**
 * What the pipeline must know of the ports. A container is an endpoint only while its object is the one that it was
 * attached for: another object of the same name has its own addresses and policies. Of two ports of one endpoint the
 * later attached counts: the other belongs to a container that is on its way out.
 */
export function localFacts({
  ports,
  gatewayDomain,
  uidsOf,
}: FactSources): ReadonlyMap<string, PortsFact> {
  const facts = new Map<string, PortsFact>();
  const tunnel = ports.get(ownPorts.tunnel.name)?.ofport;
  const gateway = ports.get(ownPorts.gateway.name)?.ofport;
  if (tunnel !== undefined) {
    facts.set("tunnel", { kind: "tunnel", id: ownPorts.tunnel.name, ofport: tunnel });
  }
  if (gateway !== undefined) {
    const fact = { kind: "gateway", id: gatewayDomain, ofport: gateway, mac: gatewayMac } as const;
    facts.set("gateway", fact);
  }
  const attached = new Map<string, number>();
  for (const port of ports.values()) {
    const attachment = attachmentOf(port);
    if (attachment === undefined || port.ofport === undefined) continue;
    const { endpoint: id, uid, attachedMs } = attachment;
    if (uid !== undefined && uidsOf(id)?.includes(uid) === false) continue;
    if (attachedMs < (attached.get(id) ?? 0)) continue;
    attached.set(id, attachedMs);
    facts.set(`port/${id}`, { kind: "port", id, ofport: port.ofport });
  }
  return facts;
}

export function differenceOf(
  before: ReadonlyMap<string, PortsFact>,
  after: ReadonlyMap<string, PortsFact>,
): LocalDelta {
  const upserts = [...after].filter(([key, fact]) => before.get(key)?.ofport !== fact.ofport);
  const deletes = [...before].filter(([key]) => !after.has(key));
  return {
    upserts: upserts.map(([, fact]) => fact),
    deletes: deletes.map(([, { kind, id }]) => ({ kind, id })),
  };
}
