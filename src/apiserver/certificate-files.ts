import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type CertificatePair,
  makeAuthority,
  makeServerCertificate,
} from "../runtime/certificates.ts";

export interface ServerCertificates {
  readonly authority: CertificatePair;
  readonly server: CertificatePair;
}

/**
 * The certificates of a server, in files of a directory (mode 0700) that only the owner may read. The authority is made once
 * and kept; the server's own certificate is made anew, for the hosts given.
 */
export async function openCertificates(
  directory: string,
  hosts: readonly string[],
): Promise<ServerCertificates> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const kept = readPair(directory, "ca");
  const authority = kept ?? (await makeAuthority("isobar-ca"));
  if (kept === undefined) writePair(directory, "ca", authority);
  const server = await makeServerCertificate(authority, hosts);
  writePair(directory, "server", server);
  return { authority, server };
}

function readPair(directory: string, name: string): CertificatePair | undefined {
  const [certificate, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  if (!existsSync(certificate) || !existsSync(key)) return undefined;
  return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
}

function writePair(directory: string, name: string, pair: CertificatePair): void {
  // The key first: a certificate without its key is made again, never used.
  writeFileSync(join(directory, `${name}.key`), pair.key, { mode: 0o600 });
  writeFileSync(join(directory, `${name}.crt`), pair.certificate, { mode: 0o600 });
}
