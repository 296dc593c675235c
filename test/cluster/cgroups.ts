// The control groups of the cluster's containers, which outlive them when a node is killed.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const mount = "/sys/fs/cgroup";

/** Path of the group of a node's containers, in each hierarchy. */
export function cgroupOf(cluster: string, node: string): string {
  return `/isobar-${cluster}/${node}`;
}

/** With version 1 of control groups each controller has a hierarchy, with version 2 they share one. */
function hierarchies(): string[] {
  if (existsSync(join(mount, "cgroup.controllers"))) return [mount];
  return readdirSync(mount).map((name) => join(mount, name));
}

/** Makes the groups that the node's kubelet makes those of its pods in. */
export function makeCgroups(cluster: string, node: string): void {
  for (const hierarchy of hierarchies()) {
    const parent = join(hierarchy, `isobar-${cluster}`);
    makeGroup(hierarchy, parent);
    makeGroup(parent, join(parent, node));
  }
}

/** A group of the cpuset controller takes no process before it is told its processors and memory: cpuset(7). */
const inherited = ["cpuset.cpus", "cpuset.mems"];

function makeGroup(parent: string, path: string): void {
  mkdirSync(path, { recursive: true });
  if (!path.startsWith(join(mount, "cpuset"))) return;
  for (const name of inherited) writeFileSync(join(path, name), readFileSync(join(parent, name)));
}

function removeGroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  }
  rmdirSync(path);
}

/** The groups must have no processes any more. */
export function removeCgroups(cluster: string): void {
  for (const hierarchy of hierarchies()) removeGroup(join(hierarchy, `isobar-${cluster}`));
}
