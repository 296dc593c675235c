// What a container runtime does with CNI: runs a network's plugin in the node's network namespace, and keeps what ADD
// answered for DEL (CNI specification, section 3).
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runCommand } from "../runtime/command.ts";
import { LabError } from "./errors.ts";

const buildScript = fileURLToPath(new URL("../../tools/build-cni.sh", import.meta.url));
const executable = fileURLToPath(new URL("../../build/isobar-cni", import.meta.url));
const confName = "10-isobar.conflist";

/** Path of the CNI executable, built anew when its source is newer. @throws {CommandError} */
export async function buildCniExecutable(): Promise<string> {
  await runCommand([buildScript, executable]);
  return executable;
}

export interface CniRuntimeOptions {
  /** Folder of plugins. */
  readonly binDir: string;
  /** Folder of network configurations. */
  readonly confDir: string;
  /** Path of the node's network namespace. */
  readonly nodeNetns: string;
}

export interface CniAttachment {
  readonly container: string;
  /** Path of the container's network namespace. */
  readonly netns: string;
  readonly interface: string;
  /** CNI_ARGS. */
  readonly args: Readonly<Record<string, string>>;
}

type Result = Readonly<Record<string, unknown>>;

export class CniRuntime {
  readonly #options: CniRuntimeOptions;
  readonly #results = new Map<string, Result>();

  constructor(options: CniRuntimeOptions) {
    this.#options = options;
  }

  /** Resolves to the container's addresses, in CIDR form. @throws {LabError} with the plugin's words */
  async add(attachment: CniAttachment): Promise<readonly string[]> {
    const result = await this.#run("ADD", attachment, {});
    this.#results.set(`${attachment.container}/${attachment.interface}`, result);
    const ips = Array.isArray(result["ips"]) ? result["ips"] : [];
    return ips.map((one: { readonly address?: unknown }) => String(one.address));
  }

  /** @throws {LabError} with the plugin's words */
  async delete(attachment: CniAttachment): Promise<void> {
    const key = `${attachment.container}/${attachment.interface}`;
    const prevResult = this.#results.get(key);
    await this.#run("DEL", attachment, prevResult === undefined ? {} : { prevResult });
    this.#results.delete(key);
  }

  /** The first plugin's configuration as it is passed on. The kubelet tries again what takes longer. */
  async #config(): Promise<object> {
    const path = join(this.#options.confDir, confName);
    let conflist: { readonly name: string; readonly plugins: readonly object[] };
    try {
      conflist = JSON.parse(await readFile(path, "utf8"));
    } catch (cause) {
      throw new LabError("the network plugin is not ready", { cause });
    }
    const { name, plugins } = conflist;
    return { ...plugins[0], cniVersion: "1.1.0", name, attachTimeoutSeconds: 5 };
  }

  async #run(command: string, attachment: CniAttachment, extra: object): Promise<Result> {
    const { binDir, nodeNetns } = this.#options;
    const config = await this.#config();
    const { container, netns, interface: name, args } = attachment;
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: container,
      CNI_NETNS: netns,
      CNI_IFNAME: name,
      CNI_ARGS: Object.entries(args)
        .map(([key, value]) => `${key}=${value}`)
        .join(";"),
      CNI_PATH: binDir,
      PATH: process.env["PATH"] ?? "",
    };
    const child = spawn("nsenter", [`--net=${nodeNetns}`, join(binDir, "isobar")], {
      env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify({ ...config, ...extra }));
    const exit = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    const [output, code] = await Promise.all([text(child.stdout), exit]);
    const answer: unknown = output === "" ? {} : JSON.parse(output);
    const result: Result = { ...(typeof answer === "object" ? answer : {}) };
    if (code === 0) return result;
    throw new LabError(`CNI ${command} ended with ${code}: ${String(result["msg"])}`);
  }
}
