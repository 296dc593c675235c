// The two images of the cluster: what the tests' pods run, and Isobar from this checkout.
import { copyFileSync, cpSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../src/runtime/command.ts";
import { buildCniExecutable } from "../../src/lab/cni-runtime.ts";
import type { ImageSpec } from "./image.ts";
import type { Programs } from "./programs.ts";

export const workloadImage = "isobar.test/workload:1";
export const pauseImage = "isobar.test/pause:1";
export const isobarImage = "isobar.test/isobar:test";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
/** What controller and agent call, and what scripts of the image use. */
const tools = "sh cp mv rm chmod touch cat sleep test ip nft nsenter ethtool sysctl".split(" ");
const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin";

export function workloadSpec({ workload }: Programs): ImageSpec {
  return {
    names: [workloadImage, pauseImage],
    entrypoint: ["/program"],
    arguments: ["pause"],
    fill: async (root) => {
      mkdirSync(join(root, "tmp"));
      copyFileSync(workload, join(root, "program"));
    },
  };
}

/**
 * What deploy/image builds out of a distribution's packages, but out of what this machine has: no registry of images is
 * needed.
 */
export function isobarSpec(): ImageSpec {
  return {
    names: [isobarImage],
    entrypoint: [],
    arguments: [],
    fill: async (root) => {
      makeFolders(root);
      const programs = await Promise.all(tools.map(whereIs));
      const libraries = await Promise.all([...programs, process.execPath].map(librariesOf));
      for (const file of new Set([...programs, ...libraries.flat()])) copy(file, root);
      const local = join(root, "usr/local/bin");
      mkdirSync(local, { recursive: true });
      copyFileSync(process.execPath, join(local, "node"));
      const scripts = join(checkout, "deploy/image");
      for (const name of readdirSync(scripts).filter((one) => one.startsWith("isobar"))) {
        copyFileSync(join(scripts, name), join(local, name));
      }
      await copyIsobar(join(root, "opt/isobar"));
    },
  };
}

function makeFolders(root: string): void {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(join("usr", name), join(root, name));
  }
  for (const name of ["tmp", "etc", "run", "var"]) mkdirSync(join(root, name));
  // Runtimes name network namespaces by their old place.
  symlinkSync("/run", join(root, "var", "run"));
}

async function whereIs(tool: string): Promise<string> {
  return (await runCommand(["env", `PATH=${searchPath}`, "which", tool])).trim();
}

/** Paths of the shared libraries that a program loads, and of their loader: ld.so(8). */
async function librariesOf(program: string): Promise<string[]> {
  const listing = await runCommand(["ldd", program]);
  return listing
    .split("\n")
    .flatMap((line) => /(?<path>\/\S+) \(0x/.exec(line)?.groups?.["path"] ?? []);
}

/** Under its name, with what it is behind all links. */
function copy(file: string, root: string): void {
  const target = join(root, realpathSync(dirname(file)), basename(file));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(realpathSync(file), target);
}

async function copyIsobar(target: string): Promise<void> {
  mkdirSync(join(target, "build"), { recursive: true });
  for (const name of ["src", "package.json"]) {
    cpSync(join(checkout, name), join(target, name), { recursive: true });
  }
  copyFileSync(await buildCniExecutable(), join(target, "build", "isobar-cni"));
  const list = ["npm", "ls", `--prefix=${checkout}`, "--omit=dev", "--all", "--parseable"] as const;
  for (const path of (await runCommand(list)).trim().split("\n").slice(1)) {
    const name = path.slice(checkout.length);
    // Node itself is there already, in one file without its headers and documentation.
    if (/\/node-linux-[a-z0-9]+$/.test(name)) continue;
    cpSync(path, join(target, name), { recursive: true, verbatimSymlinks: true });
  }
}
