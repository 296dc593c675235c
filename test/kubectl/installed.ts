// The kubectl programs that tests run: the machine's own, Debian's, and newer ones that tools/build-kubectl.sh has built.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface InstalledKubectl {
  readonly path: string;
  /** e.g. `1.20` */
  readonly version: string;
}

const cacheDirectory = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "isobar",
  "kubectl",
);

/** At least one, the oldest first, one of each version. Debian's is fetched with apt when it is not in the cache. */
export function findKubectls(): InstalledKubectl[] {
  mkdirSync(cacheDirectory, { recursive: true });
  const debian = join(cacheDirectory, "debian");
  let fetchError: unknown;
  try {
    if (!existsSync(debian)) fetchDebianPackage(debian);
  } catch (error) {
    fetchError = error;
    process.emitWarning(`Debian's kubectl cannot be fetched and is not tested: ${String(error)}`);
  }
  const built = readdirSync(cacheDirectory).filter((name) => /^kubectl-[\d.]+$/.test(name));
  const paths = [
    join(debian, "usr/bin/kubectl"),
    ...built.map((name) => join(cacheDirectory, name)),
    ...(process.env["PATH"] ?? "").split(":").map((directory) => join(directory, "kubectl")),
  ].filter((path) => existsSync(path));
  if (paths.length === 0) throw fetchError;
  const byVersion = new Map(paths.map((path) => [versionOf(path), path]));
  return [...byVersion]
    .map(([version, path]) => ({ path, version }))
    .toSorted((a, b) => Number(a.version.split(".")[1]) - Number(b.version.split(".")[1]));
}

function versionOf(path: string): string {
  const text = execFileSync(path, ["version", "--client", "--output=json"], { encoding: "utf8" });
  const { clientVersion }: { clientVersion: { major: string; minor: string } } = JSON.parse(text);
  return `${clientVersion.major}.${clientVersion.minor.replace(/\D/g, "")}`;
}

/** Unpacks the package without installing it; it becomes visible only when complete. */
function fetchDebianPackage(directory: string): void {
  const temporary = mkdtempSync(join(cacheDirectory, ".fetch-"));
  const run = (command: string, args: string[]): void => {
    execFileSync(command, args, { cwd: temporary, stdio: ["ignore", "ignore", "pipe"] });
  };
  try {
    // The package lists may be missing on a fresh machine.
    try {
      run("apt-get", ["download", "kubernetes-client"]);
    } catch {
      run("apt-get", ["update"]);
      run("apt-get", ["download", "kubernetes-client"]);
    }
    const file = readdirSync(temporary).find((name) => name.endsWith(".deb"));
    if (file === undefined) throw new Error("apt-get left no package");
    run("dpkg", ["--extract", file, "unpacked"]);
    // Another test run may have been faster.
    if (!existsSync(directory)) renameSync(join(temporary, "unpacked"), directory);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
