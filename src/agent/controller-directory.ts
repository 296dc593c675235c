// Which controllers there are and how the agent proves itself to them. Files are read anew for each attempt: whoever writes
// them (the kubelet, for a mounted ConfigMap and a service account's token) renews them under way.
import { readFileSync } from "node:fs";
import { join } from "node:path";
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
import type { ControllerAccess } from "./config.ts";

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

  constructor(access: ControllerAccess) {
    this.#access = access;
  }

  /** Whether there may ever be a controller. */
  get isEmpty(): boolean {
    const { controllers, directory } = this.#access;
    return controllers.length === 0 && directory === undefined;
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
    const { controllers, directory } = this.#access;
    const published =
      directory === undefined ? [] : linesOf(readIfThere(join(directory, publishedAddressesKey)));
    return [...controllers, ...published.map(parseStreamAddress)];
  }

  #credentials(): ClientCredentials {
    const { ca, certificate, key, directory } = this.#access;
    const authority =
      ca ?? (directory === undefined ? undefined : join(directory, publishedAuthorityKey));
    if (authority === undefined) throw new RangeError("there is no CA to know controllers by");
    const trusted = { ca: readFileSync(authority, "utf8") };
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
