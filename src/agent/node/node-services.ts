// How connections to a node's own addresses, and to external addresses of services, come to the node's switch, which balances
// them as all others. Node ports: the node's stack turns its address into one that exists between it and the switch alone,
// by one rule and a set of ports. External addresses: a route each. Nothing here picks a backend.
import { type Family, formatAddress, parseAddress, tryParseAddress } from "../../net/address.ts";
import { hairpinAddresses, nodePortAddresses } from "../../pipeline/virtual-address.ts";
import { runCommand, runIp } from "../../runtime/command.ts";
import type { Delta, ServiceResource } from "../../southbound/resources.ts";
import type { AgentConfig } from "../config.ts";
import type { GatewayKeeper } from "./gateway-keeper.ts";
import { gateways } from "../attach/interface-plan.ts";
import { listTables } from "./netfilter.ts";
import { ownPorts } from "../attach/switch-ports.ts";

const families = [4, 6] as const satisfies readonly Family[];
const words = { 4: "ip", 6: "ip6" } as const satisfies Record<Family, string>;
const types = { 4: "ipv4_addr", 6: "ipv6_addr" } as const satisfies Record<Family, string>;
/** As nft(8) lists them, so that a change of nothing is one of no element. */
const protocolWords = { TCP: "tcp", UDP: "udp", SCTP: "sctp" } as const;

/** What one service asks of the node's stack. */
interface Wish {
  /** `tcp . 30080`, by family. */
  readonly ports: readonly string[];
  readonly family: Family;
  /** Canonical. */
  readonly addresses: readonly string[];
}

/** Counts by how many it is wanted, and knows what differs from what is in force. */
class Wanted {
  readonly #counts = new Map<string, number>();
  readonly #changed = new Set<string>();

  add(key: string, by: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
    this.#changed.add(key);
  }

  all(): readonly string[] {
    return [...this.#counts.keys()];
  }

  /** What may have come and what may have gone since the last call. */
  takeChanges(): { readonly come: readonly string[]; readonly gone: readonly string[] } {
    const changed = [...this.#changed];
    this.#changed.clear();
    return {
      come: changed.filter((key) => this.#counts.has(key)),
      gone: changed.filter((key) => !this.#counts.has(key)),
    };
  }
}

function wishOf(service: ServiceResource): Wish {
  const { family, nodePort, protocol } = service;
  const external = service.frontends
    .filter(({ scope }) => scope === "external")
    .flatMap(({ address }) => tryParseAddress(address) ?? [])
    .filter((address) => address.family === family);
  return {
    family,
    ports: nodePort === undefined ? [] : [`${protocolWords[protocol]} . ${nodePort}`],
    addresses: external.map(formatAddress),
  };
}

/** One table a port, so that two agents on one machine do not meet. */
function tableName(port: string): string {
  return `isobar-${port}-services`;
}

function setOf(family: Family, what: "nodes" | "ports"): string {
  return `${what}${family}`;
}

export class NodeServices {
  readonly #port = ownPorts.gateway.name;
  /** Not while another program has the node ports. */
  readonly #enabled: boolean;
  readonly #gateway: Pick<GatewayKeeper, "addresses" | "present">;
  readonly #wishes = new Map<string, Wish>();
  readonly #ports: Readonly<Record<Family, Wanted>> = { 4: new Wanted(), 6: new Wanted() };
  readonly #addresses = new Wanted();
  /** Addresses with a route that was made here, now or by an agent before. */
  readonly #routes = new Set<string>();
  /** The node's addresses that the table in force has; `undefined` before there is one. */
  #applied: string | undefined;

  constructor(
    { nodePorts, datapathType }: Pick<AgentConfig, "nodePorts" | "datapathType">,
    gateway: Pick<GatewayKeeper, "addresses" | "present">,
  ) {
    // The dummy datapath has ports, but no network interfaces behind them.
    this.#enabled = nodePorts && datapathType !== "dummy";
    this.#gateway = gateway;
  }

  /** Takes in which services came, changed and went. @returns whether any did. */
  update({ upserts, deletes }: Delta): boolean {
    const gone = deletes.filter(({ kind }) => kind === "service");
    const come = upserts.filter((resource) => resource.kind === "service");
    for (const service of come) this.#setService(service.id, service);
    for (const { id } of gone) this.#setService(id, undefined);
    return come.length + gone.length > 0;
  }

  #setService(id: string, service: ServiceResource | undefined): void {
    const before = this.#wishes.get(id);
    const after = service && wishOf(service);
    if (after !== undefined && after.ports.length + after.addresses.length > 0) {
      this.#count(after, 1);
      this.#wishes.set(id, after);
    } else this.#wishes.delete(id);
    if (before !== undefined) this.#count(before, -1);
  }

  #count({ family, ports, addresses }: Wish, by: 1 | -1): void {
    for (const port of ports) this.#ports[family].add(port, by);
    for (const address of addresses) this.#addresses.add(address, by);
  }

  /** Makes everything as it is wanted, whatever was there. The internal port must exist. @throws {CommandError} */
  async applyAll(): Promise<void> {
    const port = this.#port;
    this.#routes.clear();
    for (const address of await readRoutes(port)) this.#routes.add(address);
    if (!this.#enabled) {
      await this.#remove();
      return;
    }
    this.#applied = undefined;
    for (const family of families) this.#ports[family].takeChanges();
    this.#addresses.takeChanges();
    await runIp(
      families.map((family) => `route replace ${nodePortAddresses[family]} ${via(family, port)}`),
    );
    const wanted = new Set(this.#addresses.all());
    const stale = [...this.#routes].filter((address) => !wanted.has(address));
    await this.#changeRoutes([...wanted], stale);
    const nodes = this.#nodeAddresses();
    await runCommand(["nft", "-f", "-"], this.#renderTable(nodes));
    this.#applied = nodes.join();
  }

  /** Of an agent before, which was told to do it. */
  async #remove(): Promise<void> {
    await this.#changeRoutes([], [...this.#routes]);
    if ((await listTables()).has(tableName(this.#port))) await removeNodeServices(this.#port);
  }

  /** Makes what changed since the last call. O(changed). @throws {CommandError} */
  async applyChanges(): Promise<void> {
    if (!this.#enabled) return;
    // Before the gateway is there all is to come with it.
    if (this.#applied === undefined) return;
    if (this.#applied !== this.#nodeAddresses().join()) {
      await this.applyAll();
      return;
    }
    const name = tableName(this.#port);
    const lines: string[] = [];
    for (const family of families) {
      const { come, gone } = this.#ports[family].takeChanges();
      const elements = (verb: string, ports: readonly string[]): void => {
        if (ports.length === 0) return;
        // One that is there may be added again, and one that is to be deleted has to be there.
        lines.push(
          `${verb} element inet ${name} ${setOf(family, "ports")} { ${ports.join(", ")} }`,
        );
      };
      elements("add", [...come, ...gone]);
      elements("delete", gone);
    }
    const { come, gone } = this.#addresses.takeChanges();
    try {
      if (lines.length > 0) await runCommand(["nft", "-f", "-"], `${lines.join("\n")}\n`);
      await this.#changeRoutes(come, gone);
    } catch (error) {
      // The next attempt makes everything anew.
      this.#applied = "";
      throw error;
    }
  }

  /** Somebody may have flushed all rules. @throws {CommandError} */
  async holds(): Promise<boolean> {
    if (!this.#enabled || this.#applied === undefined) return true;
    return (await listTables()).has(tableName(this.#port));
  }

  /** An address that the node has itself is the node's: no route leads it away. */
  async #changeRoutes(come: readonly string[], gone: readonly string[]): Promise<void> {
    const port = this.#port;
    if (come.length + gone.length === 0) return;
    const own = await this.#gateway.present();
    const made = come.filter((address) => !own.has(address));
    const removed = gone.filter((address) => this.#routes.has(address));
    await runIp([
      ...made.map((address) => `route replace ${address} ${via(familyOf(address), port)}`),
      ...removed.map((address) => `route replace ${address} ${via(familyOf(address), port)}`),
      ...removed.map((address) => `route delete ${address} dev ${port}`),
    ]);
    for (const address of made) this.#routes.add(address);
    for (const address of removed) this.#routes.delete(address);
  }

  #nodeAddresses(): readonly string[] {
    return this.#gateway.addresses().flatMap((text) => {
      const address = tryParseAddress(text);
      return address === undefined ? [] : [formatAddress(address)];
    });
  }

  /** Before other programs' rules for the same packets: the first translation of a connection is the one that counts. */
  #renderTable(nodeAddresses: readonly string[]): string {
    const name = tableName(this.#port);
    const sets = families.flatMap((family) => [
      renderSet(
        setOf(family, "nodes"),
        types[family],
        nodeAddresses.filter((address) => familyOf(address) === family),
      ),
      renderSet(setOf(family, "ports"), "inet_proto . inet_service", this.#ports[family].all()),
    ]);
    const rules = families.map(
      (family) =>
        `${words[family]} daddr @${setOf(family, "nodes")} meta l4proto . th dport @${setOf(family, "ports")} dnat ${words[family]} to ${nodePortAddresses[family]}`,
    );
    return `table inet ${name}
delete table inet ${name}
table inet ${name} {
  ${sets.join("\n  ")}
  chain prerouting {
    type nat hook prerouting priority dstnat - 1; policy accept;
    ${rules.join("\n    ")}
  }
  chain output {
    type nat hook output priority -101; policy accept;
    ${rules.join("\n    ")}
  }
}
`;
  }
}

function familyOf(address: string): Family {
  return parseAddress(address).family;
}

/** Single addresses that lead through the port, but for those between it and the node. */
async function readRoutes(port: string): Promise<readonly string[]> {
  const own = new Set<string>([
    ...Object.values(hairpinAddresses),
    ...Object.values(nodePortAddresses),
  ]);
  const found: string[] = [];
  for (const family of families) {
    const listing = await runCommand(["ip", `-${family}`, "-json", "route", "show", "dev", port]);
    const routes: unknown = JSON.parse(listing === "" ? "[]" : listing);
    if (!Array.isArray(routes)) continue;
    for (const { dst, gateway } of routes as readonly { dst: string; gateway?: string }[]) {
      if (gateway !== undefined && !dst.includes("/") && !own.has(dst)) found.push(dst);
    }
  }
  return found;
}

function via(family: Family, port: string): string {
  return `via ${gateways[family]} dev ${port} onlink`;
}

function renderSet(name: string, type: string, elements: readonly string[]): string {
  const list = elements.length === 0 ? "" : ` elements = { ${elements.join(", ")} };`;
  return `set ${name} { type ${type};${list} }`;
}

/** One that is not there is no error. @throws {CommandError} */
export async function removeNodeServices(port: string): Promise<void> {
  const name = tableName(port);
  await runCommand(["nft", "-f", "-"], `table inet ${name}\ndelete table inet ${name}\n`);
}
