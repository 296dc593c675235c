// What the node's packet filter does with packets of the overlay: under which address they leave, and which never do. All of
// it is in an nftables table of the agent's own, which is replaced as a whole.
import {
  type Family,
  type Prefix,
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  prefixContains,
} from "../../net/address.ts";
import { hairpinAddresses } from "../../pipeline/virtual-address.ts";
import { runCommand } from "../../runtime/command.ts";

export interface NetfilterPlan {
  /** Name of the gateway's internal port. */
  readonly port: string;
  /** Pools of every domain that is reached through the port. */
  readonly pools: readonly string[];
  /** CIDRs outside the pools to which endpoints keep their own addresses. */
  readonly unmasqueraded: readonly string[];
  /** The node's addresses as all others know them; the first of each family is the one that the node uses. */
  readonly nodeAddresses: readonly string[];
  readonly tunnelUdpPort: number;
  /** IPv4 link-local CIDRs that endpoints reach although they are not on this node. */
  readonly linkLocal: readonly string[];
}

const families = [4, 6] as const satisfies readonly Family[];
const fields = { 4: "ip", 6: "ip6" } as const satisfies Record<Family, string>;

/** RFC 3927 section 2.7: routers do not forward them. IPv6's are refused by the switch. */
const linkLocalNetwork = "169.254.0.0/16";
/** RFC 4291 section 2.5.6: on each interface the kernel's own. */
const linkLocalNetwork6 = "fe80::/10";

/** Puts the table in force. @throws {CommandError} */
export async function applyNetfilter(plan: NetfilterPlan): Promise<void> {
  await runCommand(["nft", "-f", "-"], renderNetfilter(plan));
}

/** Somebody may have flushed all rules. @throws {CommandError} */
export async function hasNetfilter(port: string): Promise<boolean> {
  return (await listTables()).has(tableName(port));
}

/** Names of the node's nftables tables of the family inet. @throws {CommandError} */
export async function listTables(): Promise<ReadonlySet<string>> {
  const text = await runCommand(["nft", "list", "tables", "inet"]);
  return new Set(text.split("\n").map((line) => line.replace("table inet ", "").trim()));
}

/** One that is not there is no error. @throws {CommandError} */
export async function removeNetfilter(port: string): Promise<void> {
  const name = tableName(port);
  await runCommand(["nft", "-f", "-"], `table inet ${name}\ndelete table inet ${name}\n`);
}

/** One table a port, so that two agents on one machine do not meet. */
function tableName(port: string): string {
  return `isobar-${port}`;
}

/** The table as nft(8) reads it. Declared, deleted and declared again in one transaction: so it never lacks. */
export function renderNetfilter(plan: NetfilterPlan): string {
  const name = tableName(plan.port);
  return `table inet ${name}
delete table inet ${name}
table inet ${name} {
  chain postrouting {
    type nat hook postrouting priority srcnat - 1; policy accept;
    ${[...families.flatMap((family) => nodeRule(plan, family)), ...families.flatMap((family) => hairpinRule(plan, family)), ...families.flatMap((family) => masqueradeRules(plan, family))].join("\n    ")}
  }
  chain forward {
    type filter hook forward priority filter - 1; policy accept;
    ${forwardRules(plan).join("\n    ")}
  }
}
`;
}

/**
 * What the node itself sends to endpoints from an address that the others do not know it by, also from loopback, goes out
 * under the one that they do: so it counts as the node, there and here, and the answer finds its way back.
 */
function nodeRule({ port, nodeAddresses }: NetfilterPlan, family: Family): string[] {
  const known = nodeAddresses.map(parseAddress).filter((one) => one.family === family);
  const [primary] = known.map(formatAddress);
  if (primary === undefined) return [];
  const kept = known.map(formatAddress);
  if (family === 6) kept.push(linkLocalNetwork6);
  const field = fields[family];
  return [
    `oifname "${port}" fib saddr type local ${field} saddr != { ${kept.join(", ")} } snat ${field} to ${primary}`,
  ];
}

/** What the node sends on from itself, by way of a service that has it or the world behind it. */
function hairpinRule({ port, pools }: NetfilterPlan, family: Family): string[] {
  if (prefixSet(pools, family) === undefined) return [];
  const source = `${fields[family]} saddr ${hairpinAddresses[family]}`;
  return [`${source} oifname != "${port}" masquerade fully-random`];
}

/** A random port: two endpoints that begin with the same one at once would else meet (`insert_failed`). */
function masqueradeRules(plan: NetfilterPlan, family: Family): string[] {
  const own = prefixSet(plan.pools, family);
  if (own === undefined) return [];
  const kept = prefixSet([...plan.pools, ...plan.unmasqueraded], family);
  const field = fields[family];
  const everything = kept === (family === 4 ? "0.0.0.0/0" : "::/0");
  if (everything) return [];
  return [
    `${field} saddr { ${own} } ${field} daddr != { ${kept} } oifname != "${plan.port}" masquerade fully-random`,
  ];
}

/**
 * Tunnel packets of endpoints do not leave the node: under its address another node would take them for the node's own, with
 * any endpoint of this node as their sender.
 */
function forwardRules({ port, tunnelUdpPort, linkLocal }: NetfilterPlan): string[] {
  const open = prefixSet(linkLocal, 4);
  const except = open === undefined ? "" : ` ip daddr != { ${open} }`;
  return [
    `iifname "${port}" udp dport ${tunnelUdpPort} drop`,
    `iifname "${port}" ip daddr ${linkLocalNetwork}${except} drop`,
  ];
}

/** The prefixes of the family as the elements of a set, which may not name an address twice; `undefined` for none. */
function prefixSet(texts: readonly string[], family: Family): string | undefined {
  const prefixes = [...new Set(texts.map((text) => formatPrefix(parsePrefix(text))))]
    .map(parsePrefix)
    .filter((prefix) => prefix.family === family);
  const contained = (inner: Prefix): boolean =>
    prefixes.some((outer) => outer !== inner && prefixContains(outer, inner));
  const outermost = prefixes.filter((prefix) => !contained(prefix));
  return outermost.length === 0 ? undefined : outermost.map(formatPrefix).join(", ");
}
