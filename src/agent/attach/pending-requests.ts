// Deletions that the CNI executable has noted while no agent answered: files in the folder `SOCKET.pending`.
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseRequest } from "../../cni/request.ts";
import type { AttachmentName } from "../../cni/network-config.ts";
import type { Log } from "../../runtime/log.ts";
import { decodeLocalRequest } from "../../southbound/message-schema.ts";
import { AttachError } from "../errors.ts";

export interface PendingRequestsOptions {
  readonly folder: string;
  readonly log: Log;
}

/** What was noted, by its file. */
interface Noted {
  readonly file: string;
  readonly attachment: AttachmentName;
}

type Perform = (attachment: AttachmentName) => Promise<void>;

export class PendingRequests implements Disposable {
  readonly #options: PendingRequestsOptions;
  #watcher: FSWatcher | undefined;
  #later: Perform | undefined;
  /** One look at a time: what two have read, the second would do again, when the container may be attached anew. */
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: PendingRequestsOptions) {
    this.#options = options;
  }

  /**
   * Works off what is there, as `atStart` does it, and from then on what is noted in a moment when this agent does not
   * answer. @throws {Error} when the folder cannot be read
   */
  async start(atStart: Perform, later: Perform): Promise<void> {
    const { folder, log } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#later = later;
    // Before the first look: what comes between the two would be found by neither.
    this.#watcher = watch(folder, () => {
      this.#workOff(later).catch((error: unknown) => {
        log.error({ err: error, folder }, "noted deletions are left");
      });
    });
    await this.#workOff(atStart);
  }

  /**
   * Settles when no deletion of the attachment is left of those that are noted now: a runtime that was told of its end may
   * attach the same container again. @throws {AttachError} `timeout` when it could not be done
   */
  async settle({ container, interface: name }: AttachmentName): Promise<void> {
    if (this.#later === undefined) return;
    const left = await this.#workOff(this.#later);
    if (left.some((one) => one.container === container && one.interface === name)) {
      throw new AttachError(
        "timeout",
        `an earlier deletion of ${container} ${name} is not done yet`,
      );
    }
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }

  /** @returns what could not be done. @throws {Error} when the folder cannot be read */
  async #workOff(perform: Perform): Promise<readonly AttachmentName[]> {
    const work = async (): Promise<readonly AttachmentName[]> => await this.#look(perform);
    const working = this.#working.then(work, work);
    this.#working = working;
    return await working;
  }

  async #look(perform: Perform): Promise<readonly AttachmentName[]> {
    const { log } = this.#options;
    const left: AttachmentName[] = [];
    for (const { file, attachment } of await this.#read()) {
      try {
        await perform(attachment);
        await rm(file, { force: true });
        log.info({ ...attachment }, "a noted deletion is done");
      } catch (error) {
        left.push(attachment);
        log.error({ err: error, ...attachment }, "a noted deletion is left");
      }
    }
    return left;
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
