import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type X509Certificate,
} from "@peculiar/x509";
import { MessageServer } from "./message-server.ts";
import { connectStream } from "./message-stream.ts";
import type { TlsCredentials } from "./stream-address.ts";

const limits = { maxMessageSize: 1000, maxQueuedSize: 100_000 };
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

interface Authority {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function createAuthority(): Promise<Authority> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=authority",
    keys,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true)],
  });
  return { certificate, keys };
}

async function issue(authority: Authority, name: string): Promise<TlsCredentials> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: authority.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    ca: authority.certificate.toString("pem"),
    certificate: certificate.toString("pem"),
    key: `-----BEGIN PRIVATE KEY-----\n${key.toString("base64")}\n-----END PRIVATE KEY-----\n`,
  };
}

test("over TLS each side knows the other's name, and strangers get nowhere", async () => {
  const authority = await createAuthority();
  const stranger = await issue(await createAuthority(), "stranger");
  const accepted: (string | undefined)[] = [];
  await using server = await MessageServer.listen({
    address: { kind: "tls", host: "127.0.0.1", port: 0 },
    credentials: await issue(authority, "controller"),
    ...limits,
    onStream: (stream) => {
      accepted.push(stream.peerName);
      stream.start({
        onMessage: (message) => stream.send({ echo: message }),
        onClose: () => undefined,
      });
    },
  });
  assert.ok(server.port !== undefined);
  const address = { kind: "tls", host: "127.0.0.1", port: server.port } as const;
  const options = { address, ...limits, timeoutMs: 2_000 };
  const stream = await connectStream({ ...options, credentials: await issue(authority, "node-1") });
  assert.equal(stream.peerName, "controller");
  const echo = new Promise((resolve) => {
    stream.start({ onMessage: resolve, onClose: () => undefined });
  });
  stream.send({ n: 1 });
  assert.deepEqual(await echo, { echo: { n: 1 } });
  stream.close();

  await assert.rejects(connectStream({ ...options, credentials: stranger }), /cannot connect/);
  await assert.rejects(connectStream(options), /needs a CA/);
  assert.deepEqual(accepted, ["node-1"]);
});

test("a server trusts no certificate that its authority did not sign", async () => {
  const authority = await createAuthority();
  const other = await issue(await createAuthority(), "stranger");
  let accepted = 0;
  await using server = await MessageServer.listen({
    address: { kind: "tls", host: "127.0.0.1", port: 0 },
    credentials: await issue(authority, "controller"),
    ...limits,
    onStream: () => (accepted += 1),
  });
  assert.ok(server.port !== undefined);
  // It trusts the server, but cannot prove itself. In TLS 1.3 the client learns of that after its own handshake.
  const credentials = { ...other, ca: authority.certificate.toString("pem") };
  const address = { kind: "tls", host: "127.0.0.1", port: server.port } as const;
  const stream = await connectStream({ address, credentials, ...limits, timeoutMs: 2_000 });
  await new Promise((resolve) => {
    stream.start({ onMessage: () => undefined, onClose: resolve });
  });
  assert.equal(accepted, 0);
});
