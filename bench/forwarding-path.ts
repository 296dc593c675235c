// What forwarding.bench.ts compares: a client and a server, and something between them.
import { execFileSync } from "node:child_process";
import { netnsPath } from "../src/lab/network/command.ts";

export interface Host {
  /** Path of its network namespace. */
  readonly netns: string;
  /** IPv4. */
  readonly address: string;
}

export interface Path {
  /** What is between them. */
  readonly name: string;
  readonly client: Host;
  readonly server: Host;
}

export const places = ["one node", "two nodes"] as const;
export type Place = (typeof places)[number];
export type PathsByPlace = Readonly<Record<Place, readonly Path[]>>;

/** One that fits every tunnel, so that packets are equally long everywhere. */
export const mtu = 1400;

/** Rules of the server's policy beside the one that lets the client in. Each names an address of the outside and a port. */
export const otherRules = Array.from({ length: 999 }, (_, n) => ({
  address: `11.0.${n >> 8}.${n & 255}`,
  port: 20_000 + n,
}));

/** Runs commands of sh(1) in a namespace. @throws {Error} with what they print when one fails. */
export function runIn(netns: string, script: string): void {
  execFileSync("nsenter", [`--net=${netns}`, "sh", "-ec", script], { stdio: "pipe" });
}

/** Makes an empty namespace. Its name must begin with its lab's, whose end ends it. */
export function addNetns(name: string): string {
  execFileSync("ip", ["netns", "add", name]);
  return netnsPath(name);
}

/**
 * Joins a host to a namespace by a veth pair, one end `port` there, the other `eth0` with its address. Checksums are
 * made in software where a switch in user space has to pass them on.
 */
export function attachHost(
  netns: string,
  port: string,
  host: Host & { readonly mac?: string; readonly offload?: boolean },
): void {
  const mac = host.mac === undefined ? "" : ` address ${host.mac}`;
  runIn(
    netns,
    `ip link add ${port} mtu ${mtu} type veth peer name eth0 mtu ${mtu}${mac} netns ${host.netns}
     ip link set ${port} up`,
  );
  runIn(
    host.netns,
    `${host.offload === true ? "" : "ethtool -K eth0 tx off >/dev/null"}
     ip link set lo up
     ip addr add ${host.address}/24 dev eth0
     ip link set eth0 up`,
  );
}
