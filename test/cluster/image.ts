// Container images without a registry: an archive with one layer that holds one program, for `ctr images import`.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../src/runtime/command.ts";

export interface ImageSpec {
  /** Of the program in the cache. */
  readonly program: string;
  /** Such as `isobar.test/workload:1`. */
  readonly names: readonly string[];
  /** What the program does when the manifest has no arguments. */
  readonly arguments: readonly string[];
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** Writes the archive, in the format of `docker save`. The folder is for its parts, and is gone afterwards. */
export async function writeImage(spec: ImageSpec, archive: string, folder: string): Promise<void> {
  const root = join(folder, "root");
  mkdirSync(join(root, "tmp"), { recursive: true });
  mkdirSync(join(root, "etc"));
  copyFileSync(spec.program, join(root, "program"));
  const tar = ["tar", "--create", "--sort=name", "--owner=0", "--group=0", "--mtime=@0"] as const;
  const layer = join(folder, "layer.tar");
  await runCommand([...tar, `--directory=${root}`, `--file=${layer}`, "."]);
  const digest = sha256(layer);
  const config = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Entrypoint: ["/program"], Cmd: spec.arguments, Env: ["PATH=/"], WorkingDir: "/" },
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
