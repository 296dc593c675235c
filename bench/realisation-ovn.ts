// OVN in realisation.bench.ts: its own databases, ovn-northd, and ovn-controller on a switch of the same build.
import type { Operation } from "../src/ovsdb/operation.ts";
import type { Row } from "../src/ovsdb/value.ts";
import type { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../src/switch/ovsdb-monitor.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { arePortsUp, changeOvn, isConfirmed, startOvn, untilOvn } from "./ovn.ts";
import { addPorts, countFlows } from "./realisation-switch.ts";
import {
  type Contender,
  type Endpoint,
  type Rule,
  endpointsOf,
  extraEndpoint,
  groupName,
} from "./realisation-workload.ts";

/** OVN takes no hyphen in the name of a port group. */
function portGroup(group: string): string {
  return group.replace("-", "_");
}

function aclRow({ pair, ports }: Rule): Row {
  const [subjects, peers] = (["b", "a"] as const).map((side) => portGroup(groupName(side, pair)));
  const port = ports.length === 1 ? String(ports[0]) : `{${ports.join(", ")}}`;
  return {
    direction: "to-lport",
    priority: 1000,
    match: `outport == @${subjects} && ip4.src == $${peers}_ip4 && tcp.dst == ${port}`,
    action: "allow-related",
  };
}

function portRow({ name }: Endpoint, n: number): Row {
  const [high, low] = [n >> 8, n & 255];
  const hex = (octet: number): string => octet.toString(16).padStart(2, "0");
  return { name, addresses: [`0a:00:00:00:${hex(high)}:${hex(low)} 10.0.${high}.${low}`] };
}

/** The groups' ports are dropped to by default. */
const isolated = "isolated";

function insertPort(endpoint: Endpoint, n: number): Operation[] {
  const port = { namedUuid: `port${n}` };
  const group = [["name", "==", portGroup(endpoint.group)]] as const;
  return [
    {
      op: "insert",
      table: "Logical_Switch_Port",
      row: portRow(endpoint, n),
      uuidName: port.namedUuid,
    },
    { op: "mutate", table: "Logical_Switch", where: [], mutations: [["ports", "insert", port]] },
    { op: "mutate", table: "Port_Group", where: group, mutations: [["ports", "insert", port]] },
  ];
}

function insertAcl(rule: Rule, uuidName: string): Operation[] {
  const where = [["name", "==", portGroup(groupName("b", rule.pair))]] as const;
  const acl = { namedUuid: uuidName };
  return [
    { op: "insert", table: "ACL", row: aclRow(rule), uuidName },
    { op: "mutate", table: "Port_Group", where, mutations: [["acls", "insert", acl]] },
  ];
}

export class Ovn implements Contender {
  readonly name = "OVN";
  storedAtMs = 0;
  readonly #stack: AsyncDisposableStack;
  readonly #ovs: OpenVswitch;
  readonly #northbound: OvsdbClient;
  readonly #monitor: OvsdbMonitor;
  readonly #endpoints: readonly Endpoint[];
  #extraRule = "";
  #extraPort = "";

  private constructor(parts: {
    readonly stack: AsyncDisposableStack;
    readonly ovs: OpenVswitch;
    readonly northbound: OvsdbClient;
    readonly monitor: OvsdbMonitor;
    readonly endpoints: readonly Endpoint[];
  }) {
    this.#stack = parts.stack;
    this.#ovs = parts.ovs;
    this.#northbound = parts.northbound;
    this.#monitor = parts.monitor;
    this.#endpoints = parts.endpoints;
  }

  static async start(options: { readonly perSide: number; readonly pairs: number }): Promise<Ovn> {
    await using stack = new AsyncDisposableStack();
    const ovs = stack.use(await OpenVswitch.start());
    const endpoints = endpointsOf(options.perSide, options.pairs);
    const labels = [...endpoints, extraEndpoint].map(({ name }) => ({ "iface-id": name }));
    await addPorts(ovs, labels);
    const { northbound, monitor } = await startOvn(ovs, stack);
    const ovn = new Ovn({ stack: stack.move(), ovs, northbound, monitor, endpoints });
    try {
      await ovn.#populate(options.pairs);
    } catch (error) {
      await ovn[Symbol.asyncDispose]();
      throw error;
    }
    return ovn;
  }

  async applyRules(rules: readonly Rule[]): Promise<void> {
    await this.change(rules.flatMap((rule, n) => insertAcl(rule, `acl${n}`)));
  }

  /** All but what drops by default. */
  async removeRules(): Promise<void> {
    const where = [["name", "!=", isolated]] as const;
    await this.change([{ op: "update", table: "Port_Group", where, row: { acls: [] } }]);
  }

  async addRule(rule: Rule): Promise<void> {
    this.#extraRule = await this.change(insertAcl(rule, "extra"));
  }

  async removeRule(): Promise<void> {
    const mutations = [["acls", "delete", { uuid: this.#extraRule }]] as const;
    await this.change([{ op: "mutate", table: "Port_Group", where: [], mutations }]);
  }

  async addEndpoint(): Promise<void> {
    this.#extraPort = await this.change(insertPort(extraEndpoint, this.#endpoints.length));
    await this.#portsUp(this.#endpoints.length + 1);
  }

  async removeEndpoint(): Promise<void> {
    const mutations = [["ports", "delete", { uuid: this.#extraPort }]] as const;
    await this.change([{ op: "mutate", table: "Logical_Switch", where: [], mutations }]);
  }

  flowCount(): number {
    return countFlows(this.#ovs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #populate(pairs: number): Promise<void> {
    const sides = ["a", "b"] as const;
    const names = Array.from({ length: pairs }, (_, pair) =>
      sides.map((side) => portGroup(groupName(side, pair))),
    ).flat();
    const subjects = this.#endpoints.flatMap(({ name }, n) =>
      name.startsWith("b") ? [{ namedUuid: `port${n}` }] : [],
    );
    const drop = { direction: "to-lport", priority: 900, action: "drop" };
    await this.change([
      { op: "insert", table: "Logical_Switch", row: { name: "bench" } },
      ...names.map((name) => ({ op: "insert", table: "Port_Group", row: { name } }) as const),
      ...this.#endpoints.flatMap(insertPort),
      {
        op: "insert",
        table: "ACL",
        row: { ...drop, match: `outport == @${isolated} && ip4` },
        uuidName: "drop",
      },
      {
        op: "insert",
        table: "Port_Group",
        row: { name: isolated, ports: subjects, acls: { namedUuid: "drop" } },
      },
    ]);
    await this.#portsUp(this.#endpoints.length);
  }

  /** Gives the UUID of the first row inserted. */
  async change(operations: readonly Operation[]): Promise<string> {
    const { uuid, confirmation } = await changeOvn(this.#northbound, operations);
    this.storedAtMs = performance.now();
    await this.#until("a confirmation", () => isConfirmed(this.#monitor, confirmation));
    return uuid;
  }

  async #portsUp(length: number): Promise<void> {
    await this.#until("ports that are up", () => arePortsUp(this.#monitor, length));
  }

  async #until(what: string, reached: () => boolean): Promise<void> {
    await untilOvn(this.#monitor, what, reached);
  }
}
