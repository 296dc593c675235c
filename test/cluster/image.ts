// Container images without a registry: an archive with one layer, for `ctr images import`.
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runCommand } from "../../src/runtime/command.ts";

export interface ImageSpec {
  /** Such as `isobar.test/workload:1`. */
  readonly names: readonly string[];
  readonly entrypoint: readonly string[];
  /** What follows the entry point when a manifest gives no arguments. */
  readonly arguments: readonly string[];
  /** Puts the image's files into the folder. */
  readonly fill: (root: string) => Promise<void>;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Writes the archive, in the format of `docker save`. The folder is for its parts, and is gone afterwards. */
export async function writeImage(spec: ImageSpec, archive: string, folder: string): Promise<void> {
  const root = join(folder, "root");
  mkdirSync(root, { recursive: true });
  await spec.fill(root);
  const tar = ["tar", "--create", "--sort=name", "--owner=0", "--group=0", "--mtime=@0"] as const;
  const layer = join(folder, "layer.tar");
  await runCommand([...tar, `--directory=${root}`, `--file=${layer}`, "."]);
  const digest = await sha256(layer);
  const { entrypoint: Entrypoint, arguments: Cmd } = spec;
  const Env = ["PATH=/usr/local/bin:/usr/sbin:/usr/bin"];
  const config = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Entrypoint, Cmd, Env, WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
    history: [{ created: "1970-01-01T00:00:00Z" }],
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  renameSync(layer, join(folder, `${digest}.tar`));
  const manifest = [{ Config: "config.json", RepoTags: spec.names, Layers: [`${digest}.tar`] }];
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  const parts = ["manifest.json", "config.json", `${digest}.tar`];
  await runCommand([...tar, `--directory=${folder}`, `--file=${archive}`, ...parts]);
  rmSync(folder, { recursive: true });
}
