import { existsSync } from "node:fs";
import type { StreamAddress, TlsFiles } from "../runtime/stream-address.ts";

/** `system` is the kernel's datapath, `netdev` the one in user space, `dummy` one for tests. */
export type DatapathType = "system" | "netdev" | "dummy";

export interface AgentConfig {
  readonly node: string;
  readonly controllers: readonly StreamAddress[];
  /** Needed for controllers that are reached over TCP. */
  readonly tls?: TlsFiles;
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
  /** The domain that the node itself takes part in. */
  readonly gatewayDomain: string;
  /** Of VXLAN, the same on all nodes. */
  readonly tunnelUdpPort: number;
  /** IPv4 link-local CIDRs that endpoints reach although they are not on this node, such as a cloud's metadata. */
  readonly linkLocal: readonly string[];
}

/** The kernel's datapath where its module is loaded. */
export function detectDatapathType(): DatapathType {
  return existsSync("/sys/module/openvswitch") ? "system" : "netdev";
}
