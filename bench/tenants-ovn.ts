// OVN in tenants.bench.ts: the namespaces' pods are ports of one logical switch, and in a port group each; the rules are ACLs of
// the groups, as OVN-Kubernetes makes them.
import type { Operation } from "../src/ovsdb/operation.ts";
import type { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../src/switch/ovsdb-monitor.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { arePortsUp, changeOvn, isConfirmed, startOvn, untilOvn } from "./ovn.ts";
import { addPorts, countFlows } from "./realisation-switch.ts";
import { type End, type Landlord, type Pod, type Tenant, external } from "./tenants-workload.ts";
import { passesSwitch } from "./traced-packet.ts";

/** OVN takes no hyphen in the name of a port group. */
function groupOf({ name }: Tenant): string {
  return name.replaceAll("-", "_");
}

function acl(group: string, index: number, priority: number, match: string): Operation[] {
  const action = priority === 900 ? "drop" : "allow-related";
  const uuidName = `acl${index}`;
  const row = {
    direction: "to-lport",
    priority,
    match: `outport == @${group} && ${match}`,
    action,
  };
  const where = [["name", "==", group]] as const;
  return [
    { op: "insert", table: "ACL", row, uuidName },
    {
      op: "mutate",
      table: "Port_Group",
      where,
      mutations: [["acls", "insert", { namedUuid: uuidName }]],
    },
  ];
}

function addPort(group: string, end: End): Operation[] {
  const port = { namedUuid: end.port };
  const where = [["name", "==", group]] as const;
  const row = { name: end.port, addresses: [`${end.mac} ${end.address}`] };
  return [
    { op: "insert", table: "Logical_Switch_Port", row, uuidName: end.port },
    { op: "mutate", table: "Logical_Switch", where: [], mutations: [["ports", "insert", port]] },
    { op: "mutate", table: "Port_Group", where, mutations: [["ports", "insert", port]] },
  ];
}

/** By the number in the port's name. */
function endOfPort(port: string): End {
  const number = Number(port.replace("port", ""));
  const [high, low] = [number >> 8, number & 255];
  const hex = [high, low].map((octet) => octet.toString(16).padStart(2, "0")).join(":");
  return { port, mac: `0a:00:00:00:${hex}`, address: `10.0.${high}.${low}` };
}

export class OvnLandlord implements Landlord {
  readonly name = "OVN";
  storingMs = 0;
  readonly #stack: AsyncDisposableStack;
  readonly #ovs: OpenVswitch;
  readonly #northbound: OvsdbClient;
  readonly #monitor: OvsdbMonitor;
  #ports = 0;

  private constructor(
    stack: AsyncDisposableStack,
    ovs: OpenVswitch,
    northbound: OvsdbClient,
    monitor: OvsdbMonitor,
  ) {
    this.#stack = stack;
    this.#ovs = ovs;
    this.#northbound = northbound;
    this.#monitor = monitor;
  }

  static async start(tenants: readonly Tenant[]): Promise<OvnLandlord> {
    await using stack = new AsyncDisposableStack();
    const ovs = stack.use(await OpenVswitch.start());
    const ports = tenants.flatMap(({ pods }) => pods.map(({ port }) => ({ "iface-id": port })));
    await addPorts(ovs, ports);
    const { northbound, monitor } = await startOvn(ovs, stack);
    const landlord = new OvnLandlord(stack.move(), ovs, northbound, monitor);
    await landlord.#change([{ op: "insert", table: "Logical_Switch", row: { name: "bench" } }]);
    return landlord;
  }

  async admit(tenant: Tenant): Promise<void> {
    const group = groupOf(tenant);
    this.storingMs = 0;
    this.#ports += tenant.pods.length;
    await this.#change([
      { op: "insert", table: "Port_Group", row: { name: group } },
      ...tenant.pods.flatMap(({ port }) => addPort(group, endOfPort(port))),
      ...acl(group, 0, 900, "ip4"),
      ...acl(group, 1, 1000, `ip4.src == $${group}_ip4`),
    ]);
    await untilOvn(this.#monitor, "ports that are up", () =>
      arePortsUp(this.#monitor, this.#ports),
    );
    await this.#change(
      external.flatMap((addresses, index) =>
        acl(group, index, 1000, `ip4.src == {${addresses.join(", ")}}`),
      ),
    );
  }

  async endOf({ port }: Pod): Promise<End> {
    return endOfPort(port);
  }

  async passes(from: End, to: End): Promise<boolean> {
    return await passesSwitch(this.#ovs, from, to, to.mac);
  }

  flowCount(): number {
    return countFlows(this.#ovs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #change(operations: readonly Operation[]): Promise<void> {
    const begun = performance.now();
    const { confirmation } = await changeOvn(this.#northbound, operations);
    this.storingMs += performance.now() - begun;
    await untilOvn(this.#monitor, "a confirmation", () => isConfirmed(this.#monitor, confirmation));
  }
}
