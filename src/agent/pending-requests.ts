// Deletions that the CNI executable has noted while no agent answered: files in the folder `SOCKET.pending`.
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseRequest } from "../cni/request.ts";
import type { AttachmentName } from "../cni/network-config.ts";
import type { Log } from "../runtime/log.ts";
import { decodeLocalRequest } from "../southbound/message-schema.ts";

export interface PendingRequestsOptions {
  readonly folder: string;
  readonly log: Log;
}

/** What was noted, by its file. */
interface Noted {
  readonly file: string;
  readonly attachment: AttachmentName;
}

export class PendingRequests implements Disposable {
  readonly #options: PendingRequestsOptions;
  #watcher: FSWatcher | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(options: PendingRequestsOptions) {
    this.#options = options;
  }

  /**
   * Works off what is there, as `atStart` does it, and from then on what is noted in a moment when this agent does not
   * answer. @throws {Error} when the folder cannot be read
   */
  async start(
    atStart: (attachment: AttachmentName) => Promise<void>,
    later: (attachment: AttachmentName) => Promise<void>,
  ): Promise<void> {
    const { folder, log } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Before the first look: what comes between the two would be found by neither.
    this.#watcher = watch(folder, () => {
      this.#working = this.#working
        .then(async () => await this.#workOff(later))
        .catch((error: unknown) => log.error({ err: error, folder }, "noted deletions are left"));
    });
    await this.#workOff(atStart);
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  async #workOff(perform: (attachment: AttachmentName) => Promise<void>): Promise<void> {
    for (const { file, attachment } of await this.#read()) {
      await perform(attachment);
      await rm(file, { force: true });
      this.#options.log.info({ ...attachment }, "a noted deletion is done");
    }
  }

  async #read(): Promise<readonly Noted[]> {
    const { folder, log } = this.#options;
    const noted: Noted[] = [];
    // Names begin with the time. One that begins with a dot is not whole yet, or never will be.
    for (const name of (await readdir(folder))
      .filter((one) => /^\d.*\.json$/.test(one))
      .toSorted()) {
      const file = join(folder, name);
      try {
        const request = decodeLocalRequest(JSON.parse(await readFile(file, "utf8")));
        const parsed = request.type === "cni" ? parseRequest(request) : undefined;
        if (parsed?.command !== "DEL") throw new TypeError("expected a DEL");
        const { container, interface: interfaceName } = parsed;
        noted.push({ file, attachment: { container, interface: interfaceName } });
      } catch (error) {
        log.error({ err: error, file }, "a noted deletion cannot be understood and is dropped");
        await rm(file, { force: true });
      }
    }
    return noted;
  }
}
