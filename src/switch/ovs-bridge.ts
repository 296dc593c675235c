// A bridge of Open vSwitch and its ports in the database: ovs-vswitchd.conf.db(5).
import { EventEmitter, once } from "node:events";
import type { Mutation, Operation } from "../ovsdb/operation.ts";
import {
  type Atom,
  type Row,
  mapOf,
  numberOf,
  recordOf,
  stringOf,
  uuidsOf,
} from "../ovsdb/value.ts";
import { type BridgePort, BridgePorts, bridgePort } from "./bridge-ports.ts";
import { UnavailableError } from "./errors.ts";
import type { OvsdbClient } from "./ovsdb-client.ts";
import type { OvsdbMonitor } from "./ovsdb-monitor.ts";

export interface BridgeConfig {
  readonly name: string;
  /** `system` is the kernel's datapath, `netdev` the one in user space, `dummy` one for tests. */
  readonly datapathType: string;
  /** Set beside what the bridge already has. */
  readonly externalIds?: Readonly<Record<string, string>>;
}

export interface PortConfig {
  /** Of the port and its one interface; for type "" that of an existing network device. */
  readonly name: string;
  /** Absent is an existing network device, or for a bridge of type dummy a dummy. */
  readonly type?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly externalIds?: Readonly<Record<string, string>>;
  /** Wish for the OpenFlow port number, 1 to 65279; the switch takes another when it is in use. */
  readonly ofportRequest?: number;
  /** For the kinds of interface that the switch itself makes. */
  readonly mac?: string;
  /** For the same kinds; without it the switch chooses. */
  readonly mtuRequest?: number;
}

/** What the switch says of itself, and who else uses it. */
export interface SwitchFacts {
  readonly otherConfig: Readonly<Record<string, string>>;
  readonly externalIds: Readonly<Record<string, string>>;
  /** What its bridges have: `system`, `netdev`. */
  readonly datapathTypes: ReadonlySet<string>;
  /** Whether it has opened devices in such a way that they send it TCP segments larger than their MTU; told from 3.5 on. */
  readonly takesSegments: boolean;
}

/** A bridge of the name as it is found, whoever made it. */
export interface FoundBridge {
  readonly externalIds: Readonly<Record<string, string>>;
  /** But for the bridge's own internal one. */
  readonly ports: readonly string[];
  readonly controllers: number;
}

interface BridgeEvents {
  /** Something of the bridge may be other than before, and so may its ports of these names. */
  change: [ports: ReadonlySet<string>];
}

/** A port whose remote end and key are set by flows, packet by packet. */
export function vxlanPort(
  name: string,
  options: Readonly<Record<string, string>> = {},
): PortConfig {
  return { name, type: "vxlan", options: { remote_ip: "flow", key: "flow", ...options } };
}

const tables = {
  Open_vSwitch: { columns: ["cur_cfg", "other_config", "external_ids"] },
  Bridge: { columns: ["name", "ports", "external_ids", "controller", "datapath_type"] },
  Port: { columns: ["name", "interfaces"] },
  Interface: {
    columns: ["name", "type", "ofport", "error", "external_ids", "options", "status"],
  },
};

/** Columns of the Interface row that the configuration decides. */
function interfaceRow(port: PortConfig): Row {
  return {
    type: port.type ?? "",
    options: mapOf(port.options ?? {}),
    external_ids: mapOf(port.externalIds ?? {}),
    ofport_request: port.ofportRequest ?? [],
    mac: port.mac ?? [],
    mtu_request: port.mtuRequest ?? [],
  };
}

/** Rows with no parent are dropped at commit, so the port must be put into a bridge by the same transaction. */
function insertPort(port: PortConfig, index: number): Operation[] {
  const { name } = port;
  const interfaces = { namedUuid: `interface${index}` };
  return [
    {
      op: "insert",
      table: "Interface",
      row: { name, ...interfaceRow(port) },
      uuidName: `interface${index}`,
    },
    { op: "insert", table: "Port", row: { name, interfaces }, uuidName: `port${index}` },
  ];
}

/** A bridge has an internal port of its own name. */
function insertBridge(name: string): Operation[] {
  const ports = { namedUuid: "port0" };
  const bridge = { namedUuid: "bridge" };
  return [
    ...insertPort({ name, type: "internal" }, 0),
    { op: "insert", table: "Bridge", row: { name, ports }, uuidName: "bridge" },
    { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["bridges", "insert", bridge]] },
  ];
}

/**
 * One bridge, and what the switch has made of it. All calls need a connected client; a port is named by its interface's
 * name, each port having one.
 */
export class OvsBridge extends EventEmitter<BridgeEvents> {
  readonly name: string;
  readonly #config: BridgeConfig;
  readonly #client: OvsdbClient;
  readonly #monitor: OvsdbMonitor;
  readonly #ports: BridgePorts;

  private constructor(client: OvsdbClient, config: BridgeConfig, monitor: OvsdbMonitor) {
    super();
    this.name = config.name;
    this.#config = config;
    this.#client = client;
    this.#monitor = monitor;
    this.#ports = new BridgePorts(config.name, monitor);
    // One listener for each call that waits for the switch.
    monitor.setMaxListeners(0);
    monitor.on("change", (changes) => {
      if (changes.every(({ table }) => table === "Open_vSwitch")) return;
      this.emit("change", this.#ports.apply(changes));
    });
  }

  /** Begins to follow the switch's database; changes nothing. @throws {UnavailableError} */
  static async open(client: OvsdbClient, config: BridgeConfig): Promise<OvsBridge> {
    return new OvsBridge(client, config, await client.monitor(tables));
  }

  /**
   * Makes the bridge, or sets it right, and waits for the switch. The bridge fails secure: with no flows it forwards
   * nothing.
   * @throws {PeerError} when the database refuses.
   * @throws {UnavailableError} when the switch has not answered within `timeoutMs`.
   */
  async ensure(timeoutMs = 10_000): Promise<void> {
    const { name, datapathType: datapath_type, externalIds = {} } = this.#config;
    const where = [["name", "==", name]] as const;
    const row: Row = { datapath_type, fail_mode: "secure", protocols: ["OpenFlow15"] };
    const mutations: Mutation[] = [
      ["external_ids", "delete", Object.keys(externalIds)],
      ["external_ids", "insert", mapOf(externalIds)],
    ];
    await this.#commit(
      [
        ...(this.#row() === undefined ? insertBridge(name) : []),
        { op: "update", table: "Bridge", where, row },
        { op: "mutate", table: "Bridge", where, mutations },
      ],
      timeoutMs,
    );
  }

  /**
   * Adds the ports in one transaction; one that is there already is set right instead. Settles when the switch has made
   * every interface or said why not: look at each result's `error`.
   * @throws {PeerError} when the database refuses, e.g. a port of that name on another bridge; then none was added.
   * @throws {UnavailableError} when the switch has not answered within `timeoutMs`; then they may come later.
   */
  async addPorts(ports: readonly PortConfig[], timeoutMs = 10_000): Promise<readonly BridgePort[]> {
    const added: Atom[] = [];
    const operations: Operation[] = [];
    for (const [index, port] of ports.entries()) {
      const { name } = port;
      if (this.#ports.uuidOf(name) !== undefined) {
        const where = [["name", "==", name]] as const;
        operations.push({ op: "update", table: "Interface", where, row: interfaceRow(port) });
      } else {
        operations.push(...insertPort(port, index));
        added.push({ namedUuid: `port${index}` });
      }
    }
    await this.#commit(
      [this.#expectBridge(), ...operations, this.#mutatePorts("insert", added)],
      timeoutMs,
    );
    const made = this.ports();
    return ports.flatMap(({ name }) => made.get(name) ?? []);
  }

  /**
   * Removes the ports in one transaction and waits for the switch; names that are no ports of the bridge are passed
   * over.
   * @throws {UnavailableError} when the switch has not answered within `timeoutMs`.
   */
  async removePorts(names: readonly string[], timeoutMs = 10_000): Promise<void> {
    const gone = names.flatMap((name): Atom[] => {
      const uuid = this.#ports.uuidOf(name);
      return uuid === undefined ? [] : [{ uuid }];
    });
    if (gone.length > 0) await this.#commit([this.#mutatePorts("delete", gone)], timeoutMs);
  }

  /** By name, as last seen, also later; the bridge's own internal port is among them. */
  ports(): ReadonlyMap<string, BridgePort> {
    return this.#ports.all;
  }

  /** Name of the port that has the OpenFlow port number, as last seen. */
  portAt(ofport: number): string | undefined {
    return this.#ports.nameAt(ofport);
  }

  /** As last seen. */
  facts(): SwitchFacts {
    const [row] = this.#monitor.rows("Open_vSwitch").values();
    const bridges = [...this.#monitor.rows("Bridge").values()];
    return {
      otherConfig: recordOf(row?.["other_config"]),
      externalIds: recordOf(row?.["external_ids"]),
      // Empty stands for the kernel's.
      takesSegments: [...this.#monitor.rows("Interface").values()].some(
        (one) => recordOf(one["status"])["tx_tcp_seg_offload"] === "true",
      ),
      datapathTypes: new Set(bridges.map((one) => stringOf(one["datapath_type"]) || "system")),
    };
  }

  /** The bridge of this name as last seen; `undefined` when there is none. */
  found(): FoundBridge | undefined {
    const row = this.#row();
    return (
      row && {
        externalIds: recordOf(row["external_ids"]),
        ports: [...this.ports().keys()].filter((name) => name !== this.name),
        controllers: uuidsOf(row["controller"]).length,
      }
    );
  }

  /** Interfaces of the switch's other bridges, as last seen. */
  others(): readonly BridgePort[] {
    const own = this.ports();
    return [...this.#monitor.rows("Interface").values()]
      .map(bridgePort)
      .filter(({ name }) => !own.has(name));
  }

  /** Runs the operations and waits until the switch has done what they ask, as ovs-vsctl(8) does. */
  async #commit(operations: readonly Operation[], timeoutMs: number): Promise<void> {
    const results = await this.#client.transact([
      ...operations,
      { op: "mutate", table: "Open_vSwitch", where: [], mutations: [["next_cfg", "+=", 1]] },
      { op: "select", table: "Open_vSwitch", where: [], columns: ["next_cfg"] },
    ]);
    const wanted = numberOf(results.at(-1)?.rows?.[0]?.["next_cfg"]) ?? 0;
    const signal = AbortSignal.timeout(timeoutMs);
    while (this.#currentConfiguration() < wanted) {
      try {
        await once(this.#monitor, "change", { signal });
      } catch (cause) {
        const text = `bridge ${this.name}: ovs-vswitchd has not taken up a change within ${timeoutMs} ms`;
        throw new UnavailableError(text, { cause });
      }
    }
  }

  #currentConfiguration(): number {
    const [row] = this.#monitor.rows("Open_vSwitch").values();
    return numberOf(row?.["cur_cfg"]) ?? 0;
  }

  #row(): Row | undefined {
    return [...this.#monitor.rows("Bridge").values()].find((row) => row["name"] === this.name);
  }

  /** Refuses the transaction when the bridge is gone: its ports would be dropped without a word. */
  #expectBridge(): Operation {
    const { name } = this;
    return {
      op: "wait",
      table: "Bridge",
      where: [["name", "==", name]],
      columns: ["name"],
      until: "==",
      rows: [{ name }],
      timeoutMs: 0,
    };
  }

  #mutatePorts(mutator: "insert" | "delete", ports: readonly Atom[]): Operation {
    const where = [["name", "==", this.name]] as const;
    return { op: "mutate", table: "Bridge", where, mutations: [["ports", mutator, ports]] };
  }
}
