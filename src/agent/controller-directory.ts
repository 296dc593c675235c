// Which controllers there are and how the agent proves itself to them. Files are read anew for each attempt: whoever writes
// them (the kubelet, for a mounted ConfigMap and a service account's token) renews them under way, but takes a minute for it.
// So when no controller is reached, those who know are asked.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Backoff } from "../runtime/backoff.ts";
import type { Log } from "../runtime/log.ts";
import {
  type ClientCredentials,
  type StreamAddress,
  parseStreamAddress,
} from "../runtime/stream-address.ts";
import {
  controllerServerName,
  publishedAddressesKey,
  publishedAuthorityKey,
} from "../southbound/enrolment.ts";
import type { ControllerAccess, PublishedControllers } from "./config.ts";

/** When all controllers are away every agent asks. */
const askIntervals = { minMs: 1_000, maxMs: 15_000 };
/** Controllers that are known already are not to wait long for the answer. */
const askTimeoutMs = 5_000;

/** Everything that one attempt to reach a controller needs. */
export interface ControllerContact {
  readonly address: StreamAddress;
  readonly credentials?: ClientCredentials;
  readonly token?: string;
}

export class ControllerDirectory {
  readonly #access: ControllerAccess;
  // Agents begin at different controllers, so that they are spread over all of them.
  #turn = Math.floor(Math.random() * 1_000);
  readonly #log: Log;
  readonly #askAfter = new Backoff(askIntervals);
  #nextAskMs = 0;
  #answer: PublishedControllers = {};
  #failure = "";

  constructor(access: ControllerAccess, log: Log) {
    this.#access = access;
    this.#log = log;
  }

  /** Whether there may ever be a controller. */
  get isEmpty(): boolean {
    const { controllers, directory, ask } = this.#access;
    return controllers.length === 0 && directory === undefined && ask === undefined;
  }

  /** A controller was reached. */
  reached(): void {
    this.#askAfter.reset();
    this.#nextAskMs = 0;
  }

  /** No controller was reached: asks for news, unless that was done a moment ago. Does not fail. */
  async refresh(signal: AbortSignal): Promise<void> {
    const { ask } = this.#access;
    if (ask === undefined || signal.aborted || performance.now() < this.#nextAskMs) return;
    this.#nextAskMs = performance.now() + this.#askAfter.next();
    try {
      this.#answer = await ask(AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]));
      this.#failure = "";
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      // The same failure again and again is news only once.
      if (!signal.aborted && reason !== this.#failure) {
        this.#log.warn({ reason }, "cannot ask where the controllers are");
      }
      this.#failure = reason;
    }
  }

  /** The next controller to try. @throws {Error} when none is known, or a file cannot be read */
  next(): ControllerContact {
    const addresses = this.#addresses();
    const address = addresses[this.#turn % addresses.length];
    this.#turn += 1;
    if (address === undefined) throw new RangeError("no controller's address is published yet");
    if (address.kind === "unix") return { address };
    const { tokenFile } = this.#access;
    const credentials = this.#credentials();
    if (tokenFile === undefined) return { address, credentials };
    return { address, credentials, token: readFileSync(tokenFile, "utf8").trim() };
  }

  #addresses(): readonly StreamAddress[] {
    const told = this.#published(publishedAddressesKey).flatMap(linesOf);
    return [...this.#access.controllers, ...[...new Set(told)].map(parseStreamAddress)];
  }

  /** What is published under the key, as it is known here: the latest answer and the folder's file. */
  #published(key: string): string[] {
    const { directory } = this.#access;
    const inFolder = directory === undefined ? "" : readIfThere(join(directory, key));
    return [this.#answer[key] ?? "", inFolder];
  }

  #credentials(): ClientCredentials {
    const { ca, certificate, key } = this.#access;
    const authority =
      ca === undefined
        ? this.#published(publishedAuthorityKey).join("\n").trim()
        : readFileSync(ca, "utf8");
    if (authority === "") throw new RangeError("there is no CA to know controllers by");
    const trusted = { ca: authority };
    if (certificate === undefined || key === undefined) {
      // The controllers' own certificates are for their name: their addresses change.
      return { ...trusted, serverName: controllerServerName };
    }
    return {
      ...trusted,
      certificate: readFileSync(certificate, "utf8"),
      key: readFileSync(key, "utf8"),
    };
  }
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

/** A ConfigMap that is not there yet is an empty folder. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
