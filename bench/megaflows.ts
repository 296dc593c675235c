// What a switch in user space keeps of its decisions, and how often it finds them there: for megaflows.bench.ts.
import { execFileSync } from "node:child_process";

export interface Economy {
  /** Megaflows at the end. */
  readonly megaflows: number;
  /** Distinct masks among those of the port that has most; each is a hash table that a packet may have to be looked up in. */
  readonly masks: number;
  /** Tables looked into until a megaflow was found, on average. */
  readonly lookups: number;
  /** Packets that ovs-vswitchd had to decide about. */
  readonly upcalls: number;
}

function control(socket: string, ...command: readonly string[]): string {
  const args = ["-t", socket, ...command];
  return execFileSync("ovs-appctl", args, { encoding: "utf8", maxBuffer: 1 << 28 });
}

export function resetCounters(socket: string): void {
  control(socket, "dpif-netdev/pmd-stats-clear");
}

/** Forgets megaflows and connections, and resets counters. `socket` is ovs-vswitchd's for unixctl. */
export function forget(socket: string): void {
  control(socket, "dpctl/flush-conntrack");
  control(socket, "dpctl/del-flows");
  resetCounters(socket);
}

function counter(text: string, name: string): number {
  const values = text.matchAll(new RegExp(`^ *${name}: *([\\d.]+)`, "gm"));
  return Math.max(0, ...Array.from(values, ([, value]) => Number(value)));
}

/** The fields of a megaflow with their masks and without their values. */
function maskOf(flow: string): string {
  const [match = ""] = flow.split(", packets:");
  return match.replace(/ufid:[^,]*,/, "").replaceAll(/(?<=[=(])[^=(),/]+(?=[,)/])/g, "*");
}

export function readEconomy(socket: string): Economy {
  const stats = control(socket, "dpif-netdev/pmd-stats-show");
  const flows = control(socket, "dpctl/dump-flows", "-m")
    .split("\n")
    .filter((line) => line.startsWith("ufid"));
  const masksByPort = new Map<string, Set<string>>();
  for (const flow of flows) {
    const [, port = ""] = /in_port\(([^)]*)\)/.exec(flow) ?? [];
    masksByPort.set(port, (masksByPort.get(port) ?? new Set()).add(maskOf(flow)));
  }
  return {
    megaflows: flows.length,
    masks: Math.max(0, ...Array.from(masksByPort.values(), ({ size }) => size)),
    lookups: counter(stats, "avg. subtable lookups per megaflow hit"),
    upcalls: counter(stats, "miss with success upcall") + counter(stats, "miss with failed upcall"),
  };
}
