// The node's kernel settings (sysctl) that the agent changes: what they were is remembered in a file, so that uninstalling
// puts them back.
import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";

interface Remembered {
  readonly before: string;
  readonly set: string;
}

/** Name of the file in the agent's state directory. */
export const kernelSettingsFile = "kernel-settings.json";

/** Where a container without all privileges has them: its own `/proc/sys` can only be read. */
const mounted = "/host/proc/sys/net";

/** Folder of the settings that belong to a network namespace: the one of the thread that looks. */
export const kernelSettingsFolder = existsSync(mounted) ? mounted : "/proc/sys/net";

const root = `${kernelSettingsFolder}/`;

export class KernelSettings {
  readonly #file: string;
  #remembered: Record<string, Remembered> | undefined;

  /** `file` keeps what was before. */
  constructor(file: string) {
    this.#file = file;
  }

  /** Without white space around it. @throws {Error} of the file system. */
  async get(name: string): Promise<string> {
    return (await readFile(root + name, "utf8")).trim();
  }

  /**
   * Sets `name`, a path below the folder, to `value`; what it was is on disk before. With `remember` false it goes with its
   * interface, and nobody will want it back. @throws {Error} of the file system.
   */
  async set(name: string, value: string, remember = true): Promise<void> {
    const before = await this.get(name);
    if (before === value) return;
    if (remember) {
      const all = await this.#load();
      all[name] ??= { before, set: value };
      await this.#save(all);
    }
    await writeFile(root + name, value);
  }

  /** Puts back what still is as it was set; what somebody else has changed since is theirs. @returns what was put back. */
  async restore(): Promise<readonly string[]> {
    const restored: string[] = [];
    for (const [name, { before, set }] of Object.entries(await this.#load())) {
      const now = await readFile(root + name, "utf8").catch(() => undefined);
      if (now?.trim() !== set) continue;
      await writeFile(root + name, before);
      restored.push(name);
    }
    return restored;
  }

  async #load(): Promise<Record<string, Remembered>> {
    if (this.#remembered !== undefined) return this.#remembered;
    const text = await readFile(this.#file, "utf8").catch(() => "{}");
    return (this.#remembered = parseRemembered(text));
  }

  async #save(all: Record<string, Remembered>): Promise<void> {
    const draft = `${this.#file}.new`;
    await writeFile(draft, `${JSON.stringify(all, undefined, 2)}\n`, { mode: 0o600 });
    await rename(draft, this.#file);
  }
}

/** What cannot be read is not restored: a wrong setting is worse than one left behind. */
function parseRemembered(text: string): Record<string, Remembered> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof value !== "object" || value === null) return {};
  const known: Record<string, Remembered> = {};
  for (const [name, entry] of Object.entries(value)) {
    const { before, set }: Partial<Record<keyof Remembered, unknown>> = { ...entry };
    const valid = /^ipv[46]\/[\w./-]+$/.test(name) && !name.includes("..");
    if (valid && typeof before === "string" && typeof set === "string")
      known[name] = { before, set };
  }
  return known;
}
