import { existsSync } from "node:fs";
import type { StreamAddress } from "../runtime/stream-address.ts";

import type { CniInstallation } from "./attach/cni-installer.ts";

/** `system` is the kernel's datapath, `netdev` the one in user space, `dummy` one for tests. */
export type DatapathType = "system" | "netdev" | "dummy";

/** How the agent finds controllers and proves itself to those over TCP: by a certificate, or by a token. */
export interface ControllerAccess {
  readonly controllers: readonly StreamAddress[];
  /** Folder with what controllers publish (southbound/enrolment.ts): addresses, and the CA unless `ca` is given. */
  readonly directory?: string;
  /** Names of PEM files. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  /** Name of a file with the token of the agent's service account. */
  readonly tokenFile?: string;
  /** Asks where controllers publish it, for what the directory does not have yet. */
  readonly ask?: (signal: AbortSignal) => Promise<PublishedControllers>;
}

/** What controllers publish, by the keys of southbound/enrolment.ts. */
export type PublishedControllers = Readonly<Record<string, string>>;

export interface AgentConfig {
  readonly node: string;
  readonly access: ControllerAccess;
  /** Socket of the switch's database. */
  readonly ovsdbSocket: string;
  /** Folder with the bridge's OpenFlow socket, `<bridge>.mgmt`. */
  readonly rundir: string;
  readonly bridge: string;
  readonly datapathType: DatapathType;
  readonly stateDir: string;
  /** The agent's own socket. */
  readonly socket: string;
  /** The node's addresses in the network between nodes; what the controller says of the node when empty. */
  readonly underlayAddresses: readonly string[];
  /** Where container runtimes look for plugins; without it nothing is installed. */
  readonly cni?: CniInstallation;
  /** The domain that the node itself takes part in. */
  readonly gatewayDomain: string;
  /** Of VXLAN, the same on all nodes. */
  readonly tunnelUdpPort: number;
  /** CIDRs of resolvers whose answers to questions for rules' domain names count; all that endpoints may ask when empty. */
  readonly dnsServers: readonly string[];
  /** Looked-up addresses count for at least so long. */
  readonly dnsMinimumTtlSeconds: number;
  /** Whether connections to the node's own addresses and to external ones are this agent's, where services have them. */
  readonly nodePorts: boolean;
  /** IPv4 link-local CIDRs that endpoints reach although they are not on this node, such as a cloud's metadata. */
  readonly linkLocal: readonly string[];
}

/** The kernel's datapath where its module is loaded. */
export function detectDatapathType(): DatapathType {
  return existsSync("/sys/module/openvswitch") ? "system" : "netdev";
}
