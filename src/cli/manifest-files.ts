import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkManifest } from "../client/check-manifest.ts";
import { ManifestError } from "../client/errors.ts";
import { type Manifest, parseManifests } from "../client/manifest.ts";
import { kinds } from "../kinds/kinds.ts";
import { CliError } from "./errors.ts";

/** Files as they are named; of a folder its .yaml, .yml and .json files in the order of their names. */
function filesOf(path: string): string[] {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch {
    throw new CliError(`there is no file or folder ${path}`);
  }
  if (!isDirectory) return [path];
  const files = readdirSync(path)
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .toSorted();
  if (files.length === 0) throw new CliError(`${path} holds no .yaml, .yml or .json file`);
  return files.map((name) => join(path, name));
}

/** All objects of the files and folders, as an API server would take them. @throws {CliError | ManifestError} naming the file */
export function readManifests(paths: readonly string[]): Manifest[] {
  return paths.flatMap(filesOf).flatMap((file) => {
    const manifests = parseManifests(readFileSync(file, "utf8"), file);
    for (const manifest of manifests) checkOf(file, manifest);
    return manifests;
  });
}

function checkOf(file: string, manifest: Manifest): void {
  try {
    checkManifest(kinds, manifest);
  } catch (cause) {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new ManifestError(`${file}: ${cause.message}`, { cause });
  }
}
