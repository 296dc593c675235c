// Tokens and authorities that are replaced while a client uses them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeAuthority, makeServerCertificate } from "../src/runtime/certificates.ts";
import { ApiClient } from "../src/client/api-client.ts";
import type { ClientConfig } from "../src/client/kubeconfig.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { startTestApi, testCertificates, testToken } from "./api-harness.ts";

const place = { name: "default" };

test("a token that the server no longer knows is read again, once", async () => {
  await using api = await startTestApi();
  const tokens = ["old", testToken, "broken", "broken"];
  let asked = 0;
  const client = new ApiClient({
    server: api.server.url,
    authority: testCertificates.authority.certificate,
    namespace: "default",
    token: () => tokens[asked++] ?? "broken",
  });
  assert.equal((await client.get(namespaceKind, place)).metadata.name, "default");
  assert.equal(asked, 2);
  await assert.rejects(client.get(namespaceKind, place), {
    name: "StatusError",
    message: "Unauthorized",
  });
  assert.equal(asked, 4, "the same token is not tried twice");
  await client.close();
});

test("requests that fail together all find the new authority", async () => {
  const authority = await makeAuthority("new");
  const server = await makeServerCertificate(authority, ["localhost", "127.0.0.1"]);
  await using api = await startTestApi({ certificates: { authority, server } });
  const config = (certificate: string): ClientConfig => ({
    server: api.server.url,
    authority: certificate,
    namespace: "default",
    token: () => testToken,
    renew: () => config(authority.certificate),
  });
  const client = new ApiClient(config(testCertificates.authority.certificate));
  const found = await Promise.all([1, 2, 3].map(() => client.get(namespaceKind, place)));
  assert.deepEqual(
    found.map(({ metadata }) => metadata.name),
    ["default", "default", "default"],
  );
  await client.close();
});

test("what cannot be renewed is refused as it was", async () => {
  await using api = await startTestApi();
  const client = new ApiClient({
    server: api.server.url,
    authority: testCertificates.authority.certificate,
    namespace: "default",
    token: () => "wrong",
    renew: () => {
      throw new Error("half written");
    },
  });
  await assert.rejects(client.get(namespaceKind, place), {
    name: "StatusError",
    message: "Unauthorized",
  });
  await client.close();
});
