// The agent's ports on its bridge: names, labels in the switch's database, and what they mean to the pipeline.
import { createHash } from "node:crypto";
import { formatMac } from "../../net/mac.ts";
import type { BridgePort } from "../../switch/bridge-ports.ts";
import { type PortConfig, vxlanPort } from "../../switch/ovs-bridge.ts";
import type { StoredAttachment } from "../state-file.ts";

/** Ports that every node has, with the numbers that the switch is asked for. */
export const ownPorts = {
  tunnel: { name: "isobar-vxlan", ofport: 1 },
  gateway: { name: "isobar-gw", ofport: 2 },
} as const;

/** Numbers that attachments ask for. */
const firstOfport = 16;
const lastOfport = 65_000;

/** MAC of the node's end of the gateway port; every node has the same, nothing of it leaves the node. */
export const gatewayMac = formatMac(0x0a_15_0b_a2_00_02n);

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

/** A number that is not used; the longest unused first, so that no flow still names it. */
export function nextOfport(isUsed: (ofport: number) => boolean, last: number): number {
  for (let step = 1; step <= lastOfport - firstOfport; step++) {
    const span = lastOfport - firstOfport + 1;
    const ofport =
      firstOfport + ((Math.max(last, firstOfport - 1) - firstOfport + step + span) % span);
    if (!isUsed(ofport)) return ofport;
  }
  throw new RangeError("the switch has no port numbers left");
}
