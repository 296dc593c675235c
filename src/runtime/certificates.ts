// A certificate authority of our own and what it signs: ECDSA P-256, X.509 v3 (RFC 5280).
// oxlint-disable-next-line import/no-unassigned-import -- the X.509 library needs it before itself
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 24 * 60 * 60 * 1000;
const longestValidityMs = 10 * 365 * dayMs;
/** Clocks of clients may be behind. */
const backdateMs = 60 * 60 * 1000;

/** PEM texts. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

export async function makeAuthority(name: string): Promise<CertificatePair> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name] }],
    ...validity(),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return await toPem(certificate, keys.privateKey);
}

/** A server's certificate, for host names and addresses. */
export async function makeServerCertificate(
  authority: CertificatePair,
  hosts: readonly string[],
  options: { readonly name: string; readonly validityMs?: number } = { name: "isobar-apiserver" },
): Promise<CertificatePair> {
  const names = hosts.map((host) => ({ type: isIP(host) ? "ip" : "dns", value: host }) as const);
  return await sign(authority, {
    subject: [{ CN: [options.name] }],
    usage: x509.ExtendedKeyUsage.serverAuth,
    ...(options.validityMs !== undefined && { validityMs: options.validityMs }),
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
}

/** A client's certificate: CN is the user, each O a group. */
export async function makeClientCertificate(
  authority: CertificatePair,
  user: string,
  groups: readonly string[],
): Promise<CertificatePair> {
  return await sign(authority, {
    subject: [...groups.map((group) => ({ O: [group] })), { CN: [user] }],
    usage: x509.ExtendedKeyUsage.clientAuth,
    extensions: [],
  });
}

async function sign(
  authority: CertificatePair,
  options: {
    subject: x509.JsonName;
    usage: x509.ExtendedKeyUsage;
    extensions: readonly x509.Extension[];
    validityMs?: number;
  },
): Promise<CertificatePair> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    subject: options.subject,
    issuer: issuer.subject,
    ...validity(options.validityMs),
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([options.usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...options.extensions,
    ],
  });
  return await toPem(certificate, keys.privateKey);
}

function validity(validityMs = longestValidityMs): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + validityMs) };
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

async function toPem(
  certificate: x509.X509Certificate,
  privateKey: webcrypto.CryptoKey,
): Promise<CertificatePair> {
  const der = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`,
  };
}
