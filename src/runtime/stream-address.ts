// Where a stream of JSON messages is found: a Unix socket, or TCP with TLS. Plain TCP does not exist here.
import { readFileSync } from "node:fs";

export type StreamAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tls"; readonly host: string; readonly port: number };

/** PEM texts. A server proves itself with `certificate` and accepts only certificates that `ca` has signed. */
export interface TlsCredentials {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** PEM texts. What a client trusts, and its own certificate where it proves itself by one. */
export interface ClientCredentials {
  readonly ca: string;
  readonly certificate?: string;
  readonly key?: string;
  /** Name that the server's certificate must be for; the host that was dialled when absent. */
  readonly serverName?: string;
}

/** `unix:PATH`, an absolute path, or `HOST:PORT`, an IPv6 host in brackets. @throws {RangeError} */
export function parseStreamAddress(text: string): StreamAddress {
  const path = text.startsWith("unix:") ? text.slice("unix:".length) : text;
  if (path.startsWith("/")) return { kind: "unix", path };
  const [, host, port] = /^(\[[^\]]+\]|[^:[\]]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65535) {
    throw new RangeError(`expected an absolute path or HOST:PORT, got "${text}"`);
  }
  return { kind: "tls", host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

export function formatStreamAddress(address: StreamAddress): string {
  if (address.kind === "unix") return address.path;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

export interface TlsFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Reads the files anew, so that renewed certificates are used from the next connection on. */
export function readTlsCredentials(files: TlsFiles): TlsCredentials {
  return {
    ca: readFileSync(files.ca, "utf8"),
    certificate: readFileSync(files.certificate, "utf8"),
    key: readFileSync(files.key, "utf8"),
  };
}
