// Puts the CNI executable and the network's configuration where container runtimes look for them.
import { copyFile, chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

export interface CniInstallation {
  /** Folder of plugins, e.g. `/opt/cni/bin`. */
  readonly binDir: string;
  /** Folder of network configurations, e.g. `/etc/cni/net.d`. */
  readonly confDir: string;
  /** The executable to install. */
  readonly executable: string;
  /** Plugins to be chained behind, by their names. */
  readonly chain: readonly string[];
  /** The agent's socket. */
  readonly socket: string;
}

/** Name of the executable, and `type` in configurations. */
const pluginName = "isobar";
/** Runtimes take the first by name. */
const confName = "10-isobar.conflist";

/** What a chained plugin can be told by the runtime. */
const capabilities: Readonly<Record<string, object>> = {
  portmap: { portMappings: true },
  bandwidth: { bandwidth: true },
};

/**
 * Versions: a runtime that knows `cniVersions` (specification 1.1.0) takes the newest that it speaks; older ones take
 * `cniVersion`, and all since 2022 speak 1.0.0.
 */
function renderConflist({ socket, chain }: CniInstallation): string {
  const chained = chain.map((type) => {
    const can = capabilities[type];
    return can === undefined ? { type } : { type, capabilities: can };
  });
  const conflist = {
    cniVersion: "1.0.0",
    cniVersions: ["0.4.0", "1.0.0", "1.1.0"],
    name: "isobar",
    plugins: [{ type: pluginName, socket }, ...chained],
  };
  return `${JSON.stringify(conflist, undefined, 2)}\n`;
}

/** To be called early: DEL works from then on. Leaves an equal file alone. @throws {Error} */
export async function installExecutable({ binDir, executable }: CniInstallation): Promise<void> {
  const target = join(binDir, pluginName);
  if (await haveEqualContent(executable, target)) return;
  await mkdir(binDir, { recursive: true });
  // One that runs cannot be overwritten, but replaced.
  const fresh = join(binDir, `.${pluginName}.${process.pid}`);
  try {
    await copyFile(executable, fresh);
    await chmod(fresh, 0o755);
    await rename(fresh, target);
  } finally {
    await rm(fresh, { force: true });
  }
}

/** To be called once containers can be attached: kubelet takes the file as the sign of that. @throws {Error} */
export async function installConflist(installation: CniInstallation): Promise<void> {
  const { confDir } = installation;
  const text = renderConflist(installation);
  const target = join(confDir, confName);
  if ((await readFile(target, "utf8").catch(() => undefined)) === text) return;
  await mkdir(confDir, { recursive: true });
  // Without an ending that runtimes look at.
  const fresh = join(confDir, `.${confName}.${process.pid}`);
  try {
    const file = await open(fresh, "w", 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, target);
  } finally {
    await rm(fresh, { force: true });
  }
}

/** The configuration first: no runtime shall look for an executable that is gone. Others' files stay. */
export async function removeCni({ binDir, confDir }: CniInstallation): Promise<void> {
  await rm(join(confDir, confName), { force: true });
  await rm(join(binDir, pluginName), { force: true });
}

async function haveEqualContent(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([
    readFile(one),
    readFile(other).catch(() => undefined),
  ]);
  return second !== undefined && first.equals(second);
}
