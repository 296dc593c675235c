// Connections that the switch's datapath tracks, as the dpctl commands of ovs-vswitchd(8) list and delete them.
import { readFile } from "node:fs/promises";
import { PeerError } from "../../switch/errors.ts";
import { UnixctlConnection, unixctl } from "../../switch/unixctl.ts";
import type { AgentConfig } from "../config.ts";
import { namesDatapath } from "../node/node-report.ts";

export interface TrackedConnection {
  /** Protocol number, e.g. 6. */
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  /** `undefined` or 0 where the protocol has no ports. */
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  /** Who answers: the backend of a connection to a virtual address, else the destination. */
  readonly server: string;
  readonly serverPort: number | undefined;
  readonly zone: number;
  /** `ct_label`. */
  readonly label: bigint;
  /** ICMP: what tells a connection instead of ports. */
  readonly icmp: { readonly type: number; readonly code: number; readonly id: number } | undefined;
}

/** Protocols that are printed by name; all others are printed by number. */
const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

/** ENOENT, as ovs-vswitchd words it. */
const notThere = "No such file or directory";

/** The daemon takes ten commands of a connection in each turn of its main loop. */
const deletionsAtOnce = 100;

/** One line of the list; `undefined` when it tells of no connection. */
export function parseConnection(line: string): TrackedConnection | undefined {
  const found = /^(\w+),orig=\(([^)]*)\)(?:,reply=\(([^)]*)\))?/.exec(line);
  const protocol = protocolOf(found?.[1] ?? "");
  const original = fieldsOf(found?.[2] ?? "");
  const reply = fieldsOf(found?.[3] ?? "");
  const rest = fieldsOf(line.replaceAll(/\([^)]*\)/g, ""));
  const source = original.get("src");
  const destination = original.get("dst");
  if (protocol === undefined || source === undefined || destination === undefined) return undefined;
  const type = numberOf(original.get("type"));
  return {
    protocol,
    source,
    destination,
    sourcePort: numberOf(original.get("sport")),
    destinationPort: numberOf(original.get("dport")),
    server: reply.get("src") ?? destination,
    serverPort: numberOf(reply.get("sport") ?? original.get("dport")),
    zone: numberOf(rest.get("zone")) ?? 0,
    label: BigInt(rest.get("labels")?.split("/")[0] ?? 0),
    icmp:
      type === undefined
        ? undefined
        : {
            type,
            code: numberOf(original.get("code")) ?? 0,
            id: numberOf(original.get("id")) ?? 0,
          },
  };
}

/** What names the connection to the command that deletes it. */
export function formatTuple(connection: TrackedConnection): string {
  const { protocol, source, destination, sourcePort, destinationPort, icmp } = connection;
  const family = source.includes(":") ? "ipv6" : "nw";
  const fields = [
    `ct_${family}_src=${source}`,
    `ct_${family}_dst=${destination}`,
    `ct_nw_proto=${protocol}`,
  ];
  if (sourcePort !== undefined) fields.push(`ct_tp_src=${sourcePort}`);
  if (destinationPort !== undefined) fields.push(`ct_tp_dst=${destinationPort}`);
  if (icmp !== undefined) {
    fields.push(`icmp_type=${icmp.type}`, `icmp_code=${icmp.code}`, `icmp_id=${icmp.id}`);
  }
  return fields.join(",");
}

export interface ConnectionFill {
  readonly connections: number;
  /** New connections beyond it are dropped. */
  readonly limit: number;
}

/** How commands name the datapath. */
export interface DatapathName {
  /** E.g. `netdev@ovs-netdev`. */
  readonly datapath: string;
  /**
   * Whether the command that deletes takes the name: Open vSwitch 3.1 takes it for a tuple. Without it a switch with two
   * datapaths in use refuses.
   */
  readonly namedOnDelete: () => boolean;
}

/** The tracked connections of one datapath. */
export class ConnectionTable {
  readonly #control: () => string;
  readonly #datapath: DatapathName;

  /** `control` gives the path of ovs-vswitchd's control socket. */
  constructor(control: () => string, datapath: DatapathName) {
    this.#control = control;
    this.#datapath = datapath;
  }

  /** @throws {UnavailableError} @throws {PeerError} */
  async list(): Promise<readonly TrackedConnection[]> {
    const text = await unixctl(this.#control(), "dpctl/dump-conntrack", [this.#datapath.datapath]);
    return text.split("\n").flatMap((line) => parseConnection(line) ?? []);
  }

  /** How many there are, and how many there can be. @throws {UnavailableError} @throws {PeerError} @throws {Error} */
  async fill(): Promise<ConnectionFill> {
    const { datapath } = this.#datapath;
    if (datapath.startsWith("system@")) {
      // The kernel's table, which the node's own connections are in as well.
      return { connections: await readCount("count"), limit: await readCount("max") };
    }
    using control = await UnixctlConnection.open(this.#control());
    const [connections, limit] = await Promise.all(
      ["dpctl/ct-get-nconns", "dpctl/ct-get-maxconns"].map(async (command) =>
        Number(await control.run(command, [datapath])),
      ),
    );
    return { connections: connections ?? NaN, limit: limit ?? NaN };
  }

  /**
   * The next packet of each of them begins a new connection. One that is gone already is no error.
   * @throws {UnavailableError} @throws {PeerError}
   */
  async delete(connections: readonly TrackedConnection[]): Promise<void> {
    using control = await UnixctlConnection.open(this.#control());
    const named = this.#datapath.namedOnDelete() ? [this.#datapath.datapath] : [];
    const remove = async (connection: TrackedConnection): Promise<void> => {
      const args = [...named, `zone=${connection.zone}`, formatTuple(connection)];
      try {
        await control.run("dpctl/flush-conntrack", args);
      } catch (error) {
        if (!(error instanceof PeerError && error.message.includes(notThere))) throw error;
      }
    };
    for (let from = 0; from < connections.length; from += deletionsAtOnce) {
      await Promise.all(connections.slice(from, from + deletionsAtOnce).map(remove));
    }
  }
}

/** Of the datapath that the agent's bridge has. `control` gives the path of ovs-vswitchd's control socket. */
export function openConnections(
  { datapathType }: Pick<AgentConfig, "datapathType">,
  switchVersion: () => string | undefined,
  control: () => string,
): ConnectionTable {
  return new ConnectionTable(control, {
    datapath: `${datapathType}@ovs-${datapathType}`,
    namedOnDelete: () => namesDatapath(switchVersion()),
  });
}

/** nf_conntrack-sysctl.rst. */
async function readCount(name: "count" | "max"): Promise<number> {
  return Number(await readFile(`/proc/sys/net/netfilter/nf_conntrack_${name}`, "utf8"));
}

function fieldsOf(text: string): Map<string, string> {
  return new Map(
    text.split(",").map((field): [string, string] => {
      const [name = "", value = ""] = field.split("=");
      return [name, value];
    }),
  );
}

function protocolOf(text: string): number | undefined {
  return /^\d{1,3}$/.test(text) ? Number(text) : protocols[text];
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
