// Puts the CNI executable and the network's configuration where container runtimes look for them.
import { copyFile, chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isObject } from "../../apimachinery/json.ts";

/** A plugin's configuration, as it stands in a conflist. */
export type ChainedPlugin = Readonly<Record<string, unknown>> & { readonly type: string };

export interface CniInstallation {
  /** Folder of plugins, e.g. `/opt/cni/bin`. */
  readonly binDir: string;
  /** Folder of network configurations, e.g. `/etc/cni/net.d`. */
  readonly confDir: string;
  /** Name of the configuration's file: runtimes take the first by name. */
  readonly confFile: string;
  /** The executable to install. */
  readonly executable: string;
  /** Plugins to be chained behind, as they are configured. */
  readonly chain: readonly ChainedPlugin[];
  /** How long ADD waits for what is missing; as it does by itself when absent. */
  readonly attachTimeoutSeconds?: number;
  /** The agent's socket. */
  readonly socket: string;
}

/** Name of the executable, and `type` in configurations. */
const pluginName = "isobar";
/** What a chained plugin that is given by its name alone can be told by the runtime. */
const capabilities: Readonly<Record<string, object>> = {
  portmap: { portMappings: true },
  bandwidth: { bandwidth: true },
};

/** @throws {RangeError} for a text that is neither a plugin's name nor its configuration in JSON */
export function parseChainedPlugin(text: string): ChainedPlugin {
  const value = text.startsWith("{") ? tryParseJson(text) : { type: text };
  if (!isObject(value) || typeof value["type"] !== "string" || !/^[\w.-]+$/.test(value["type"])) {
    const expected = 'a plugin such as portmap, or its configuration such as {"type":"portmap"}';
    throw new RangeError(`expected ${expected}, got ${JSON.stringify(text)}`);
  }
  const { type } = value;
  const can = text.startsWith("{") ? undefined : capabilities[type];
  return { ...value, type, ...(can && { capabilities: can }) };
}

function tryParseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Versions: a runtime that knows `cniVersions` (specification 1.1.0) takes the newest that it speaks; older ones take
 * `cniVersion`, and all since 2022 speak 1.0.0.
 */
function renderConflist({ socket, chain, attachTimeoutSeconds }: CniInstallation): string {
  const timeout = attachTimeoutSeconds === undefined ? {} : { attachTimeoutSeconds };
  const conflist = {
    cniVersion: "1.0.0",
    cniVersions: ["0.4.0", "1.0.0", "1.1.0"],
    name: "isobar",
    plugins: [{ type: pluginName, socket, ...timeout }, ...chain],
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
  const { confDir, confFile } = installation;
  const text = renderConflist(installation);
  const target = join(confDir, confFile);
  if ((await readFile(target, "utf8").catch(() => undefined)) === text) return;
  await mkdir(confDir, { recursive: true });
  // Without an ending that runtimes look at.
  const fresh = join(confDir, `.${confFile}.${process.pid}`);
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
export async function removeCni({ binDir, confDir, confFile }: CniInstallation): Promise<void> {
  await rm(join(confDir, confFile), { force: true });
  await rm(join(binDir, pluginName), { force: true });
}

async function haveEqualContent(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([
    readFile(one),
    readFile(other).catch(() => undefined),
  ]);
  return second !== undefined && first.equals(second);
}
