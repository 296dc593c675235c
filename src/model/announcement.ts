/** An address under which the network outside reaches a service, and the nodes that tell it so. */
export interface Announcement {
  readonly address: string;
  /** `L2`: by ARP and neighbour discovery, by one node. What else tells it may be told by several. */
  readonly protocol: "L2";
  /** Names of nodes. */
  readonly nodes: readonly string[];
  /** Of those nodes; absent: the interface that has the node's own address. */
  readonly interfaces?: readonly string[];
}
