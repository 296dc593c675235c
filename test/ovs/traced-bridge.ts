// A bridge of the dummy datapath that is loaded with flows and asked what it would do with a packet (ofproto/trace).
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { addFlow, deleteFlow } from "../../src/openflow/flow-mod.ts";
import { deleteGroup, setGroup } from "../../src/openflow/group-change.ts";
import type { Group } from "../../src/openflow/group.ts";
import { type Cookie, decodeCookie } from "../../src/pipeline/cookie.ts";
import type { FlowChanges } from "../../src/pipeline/flow-store.ts";
import { rejectMeter } from "../../src/pipeline/rejection.ts";
import { forgetClients } from "../../src/pipeline/service-flows.ts";
import { type TableName, tableNamed } from "../../src/pipeline/tables.ts";
import { OpenFlowClient } from "../../src/switch/openflow-client.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import type { OpenVswitch } from "./open-vswitch.ts";

const execute = promisify(execFile);

/** A flow that the packet met. */
interface TraceStep {
  readonly table: TableName | undefined;
  readonly priority: number;
  readonly cookie: Cookie | undefined;
}

export interface Trace {
  readonly text: string;
  readonly steps: readonly TraceStep[];
  /** Ports that the packet leaves through; 65528 is the one it came from. */
  readonly outputs: readonly number[];
  /** The packet as it leaves, in the words of ovs-fields(7). */
  readonly final: string;
  /** `ct_label` of the connection that the packet opens. */
  readonly label: bigint | undefined;
}

/** What a step's or action's line looks like; the number before the point is the table. */
const stepPattern = /^\s*(\d+)\. (?:.*, )?priority (\d+)(?:, cookie (0x[0-9a-f]+))?$/;

function parseStep(line: string): TraceStep | undefined {
  const [, table, priority, cookie] = stepPattern.exec(line) ?? [];
  if (table === undefined) return undefined;
  return {
    table: tableNamed(Number(table)),
    priority: Number(priority),
    cookie: decodeCookie(BigInt(cookie ?? 0)),
  };
}

function parseOutput(line: string, next: string | undefined): number | undefined {
  if (/^\s+IN_PORT$/.test(line)) return 65528;
  const [, port] = /^\s+output:(\d+)$/.exec(line) ?? [];
  return port === undefined || next?.includes("skipping output") === true
    ? undefined
    : Number(port);
}

function parseTrace(text: string): Trace {
  const lines = text.split("\n");
  const label = /ct\(commit[^)]*label=(0x[0-9a-f]+|0)/.exec(text)?.[1];
  return {
    text,
    steps: lines.map(parseStep).filter((step) => step !== undefined),
    outputs: lines
      .map((line, index) => parseOutput(line, lines[index + 1]))
      .filter((port) => port !== undefined),
    final: lines.findLast((line) => line.startsWith("Final flow: "))?.slice(12) ?? "",
    label: label === undefined ? undefined : BigInt(label),
  };
}

export interface BridgePorts {
  /** OpenFlow numbers of plain ports. */
  readonly plain: readonly number[];
  readonly tunnel: number;
}

export class TracedBridge implements AsyncDisposable {
  readonly name: string;
  readonly #ovs: OpenVswitch;
  readonly #client: OpenFlowClient;

  private constructor(name: string, ovs: OpenVswitch, client: OpenFlowClient) {
    this.name = name;
    this.#ovs = ovs;
    this.#client = client;
  }

  /** Tunnels of one switch must differ, hence a UDP port of the bridge's own. */
  static async create(
    ovs: OpenVswitch,
    name: string,
    { plain, tunnel, udpPort }: BridgePorts & { readonly udpPort: number },
  ): Promise<TracedBridge> {
    const port = (number: number, ...settings: string[]): string[] => {
      const full = `${name}p${number}`;
      return ["--", "add-port", name, full, "--", "set", "interface", full, ...settings].concat(
        `ofport_request=${number}`,
      );
    };
    const options = ["remote_ip=flow", "key=flow", `dst_port=${udpPort}`];
    await execute("ovs-vsctl", [
      `--db=unix:${ovs.databaseSocket}`,
      ...`add-br ${name} -- set bridge ${name} datapath_type=dummy fail-mode=secure`.split(" "),
      "protocols=[OpenFlow10,OpenFlow15]",
      ...plain.flatMap((number) => port(number, "type=dummy")),
      ...port(tunnel, "type=vxlan", ...options.map((option) => `options:${option}`)),
    ]);
    const path = join(ovs.rundir, `${name}.mgmt`);
    const client = await OpenFlowClient.open({ address: { path } });
    await client.change({ kind: "meter-mod", command: "add", meter: rejectMeter });
    return new TracedBridge(name, ovs, client);
  }

  /** As one bundle. @throws {Error} when the switch refuses a flow. */
  async change({ upserts, deletes, groups }: FlowChanges): Promise<void> {
    const changed = [...(groups ?? [])];
    await this.#client.bundle([
      ...changed.flatMap(([, group]) => (group === undefined ? [] : [setGroup(group)])),
      ...deletes.map(deleteFlow),
      ...deletes.flatMap(forgetClients),
      ...upserts.map(addFlow),
      ...changed.flatMap(([id, group]) =>
        group === undefined ? [deleteGroup({ id, type: "select" })] : [],
      ),
    ]);
  }

  /** The groups as the switch has them. */
  async dumpGroups(): Promise<readonly Group[]> {
    return await this.#client.collect({
      kind: "multipart-request",
      part: "groups",
      request: undefined,
    });
  }

  /** How many flows each table has, by its name. */
  async countFlows(): Promise<ReadonlyMap<TableName, number>> {
    const counts = new Map<TableName, number>();
    for (const { flow } of await this.#client.dumpFlows()) {
      const table = tableNamed(flow.table);
      if (table === undefined) throw new Error(`there is no table ${flow.table}`);
      counts.set(table, (counts.get(table) ?? 0) + 1);
    }
    return counts;
  }

  /** @param state what each pass through conntrack finds, e.g. `trk,new`. */
  async trace(packet: string, ...state: readonly string[]): Promise<Trace> {
    const next = state.flatMap((each) => ["--ct-next", each]);
    const text = await unixctl(this.#ovs.controlSocket, "ofproto/trace", [
      this.name,
      packet,
      ...next,
    ]);
    return parseTrace(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}
