// What the node needs for answering at the addresses of the cluster's DNS: they are its own, on the gateway's port, and nobody
// else's packet filter translates them or lets others at them.
import { type Family, formatAddress, parseAddress } from "../../net/address.ts";
import { runCommand, runIp } from "../../runtime/command.ts";
import { listTables } from "../node/netfilter.ts";

const table = "isobar-dns";
const families = [4, 6] as const satisfies readonly Family[];
const fields = { 4: "ip", 6: "ip6" } as const satisfies Record<Family, string>;

export interface DnsHostPlan {
  /** Name of the gateway's internal port. */
  readonly port: string;
  /** At which DNS is answered, canonical. */
  readonly addresses: readonly string[];
}

/** Puts addresses and table in force, whatever was there. @throws {CommandError} */
export async function applyDnsHost(plan: DnsHostPlan): Promise<void> {
  const present = await readAddresses(plan.port);
  const wanted = new Set(plan.addresses);
  const stale = [...present].filter((address) => !wanted.has(address));
  const missing = plan.addresses.filter((address) => !present.has(address));
  await runIp([
    ...stale.map((address) => `address delete ${hostPrefix(address)} dev ${plan.port}`),
    ...missing.map(
      (address) => `address add ${hostPrefix(address)} dev ${plan.port}${flags(address)}`,
    ),
  ]);
  const tables = await listTables();
  if (plan.addresses.length > 0) await runCommand(["nft", "-f", "-"], renderTable(plan));
  else if (tables.has(table)) await removeDnsTable();
}

/** Whether all of it is in force, as far as can be told without touching it. @throws {CommandError} */
export async function hasDnsHost({ port, addresses }: DnsHostPlan): Promise<boolean> {
  const present = await readAddresses(port);
  const equal = present.size === addresses.length && addresses.every((each) => present.has(each));
  return equal && (await listTables()).has(table) === addresses.length > 0;
}

/** One that is not there is no error. @throws {CommandError} */
export async function removeDnsTable(): Promise<void> {
  await runCommand(["nft", "-f", "-"], `table inet ${table}\ndelete table inet ${table}\n`);
}

function hostPrefix(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** It is on every node, so nobody is to be asked whether he has it. */
function flags(address: string): string {
  return address.includes(":") ? " nodad" : "";
}

/** The port has no addresses but these, and the kernel's own. */
async function readAddresses(port: string): Promise<ReadonlySet<string>> {
  const listing = await runCommand(["ip", "-json", "address", "show", "scope", "global"]);
  const links: unknown = JSON.parse(listing === "" ? "[]" : listing);
  if (!Array.isArray(links)) return new Set();
  const typed = links as readonly {
    readonly ifname?: string;
    readonly addr_info?: readonly { readonly local?: string }[];
  }[];
  const own = typed.filter(({ ifname }) => ifname === port);
  const addresses = own.flatMap((link) => link.addr_info ?? []).map(({ local }) => local);
  return new Set(
    addresses
      .filter((address) => address !== undefined)
      .map((address) => formatAddress(parseAddress(address))),
  );
}

/**
 * Not tracked: a kube-proxy on the node would translate the packets, and entries of many short questions would fill the node's
 * table. From elsewhere nobody gets an answer: the addresses are each node's own.
 */
function renderTable({ port, addresses }: DnsHostPlan): string {
  const rules = (body: (field: string, set: string) => readonly string[]): string =>
    families
      .flatMap((family) => {
        const own = addresses.filter((address) => parseAddress(address).family === family);
        return own.length === 0 ? [] : body(fields[family], `{ ${own.join(", ")} }`);
      })
      .join("\n    ");
  const from = "meta l4proto { tcp, udp } th sport 53";
  const to = "meta l4proto { tcp, udp } th dport 53";
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ${rules((field, set) => [
      `iifname != { "${port}", "lo" } ${field} daddr ${set} drop`,
      `${field} daddr ${set} ${to} notrack`,
      `${field} saddr ${set} ${from} notrack`,
    ])}
  }
  chain output {
    type filter hook output priority raw; policy accept;
    ${rules((field, set) => [
      `${field} saddr ${set} ${from} notrack`,
      `${field} daddr ${set} ${to} notrack`,
    ])}
  }
}
`;
}
