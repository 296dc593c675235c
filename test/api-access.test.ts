// Who gets in, over TLS with the server's own authority.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openCertificates } from "../src/apiserver/certificate-files.ts";
import { makeAuthority, makeClientCertificate } from "../src/runtime/certificates.ts";
import { ApiClient } from "../src/client/api-client.ts";
import { startTestApi, testCertificates, type TestApi } from "./api-harness.ts";

const review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

test("without a token, or with a wrong one, nothing but health and version is answered", async () => {
  for (const token of [undefined, "wrong", ""]) {
    for (const path of ["/api", "/api/v1/pods", "/openapi/v2", "/nothing"]) {
      const { code, body } = await api.raw("GET", path, { token });
      assert.deepEqual([code, body.reason], [401, "Unauthorized"], `${token} ${path}`);
    }
  }
  for (const path of ["/healthz", "/livez", "/readyz"]) {
    const { code, text } = await api.raw("GET", path, { token: undefined });
    assert.deepEqual([code, text], [200, "ok"]);
  }
  assert.equal((await api.raw("GET", "/version", { token: undefined })).code, 200);
  assert.equal((await api.raw("GET", "/healthz", { token: "wrong" })).code, 401);
  const headers = { authorization: "Basic dGVzdGVyOngK" };
  assert.equal((await api.raw("GET", "/healthz", { token: undefined, headers })).code, 401);
});

test("a path that is none is the client's fault", async () => {
  assert.equal((await api.raw("GET", "//", { token: undefined })).code, 400);
});

test("a token tells who asks", async () => {
  const { code, body } = await api.raw("POST", review, { body: {} });
  assert.equal(code, 201);
  assert.deepEqual(body.status.userInfo, { username: "tester", groups: ["system:masters"] });
  const access = await api.raw("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
    body: { spec: { resourceAttributes: { verb: "create", resource: "pods" } } },
  });
  assert.equal(access.body.status.allowed, true);
});

/** The user that the server sees in a certificate that the authority has made for jane. */
async function whoAmI(authority: typeof testCertificates.authority): Promise<unknown> {
  const { certificate, key } = await makeClientCertificate(authority, "jane", ["team-a", "team-b"]);
  const client = new ApiClient({
    server: api.server.url,
    authority: testCertificates.authority.certificate,
    certificate,
    key,
    namespace: "default",
  });
  try {
    const answer = await client.json<{ status: { userInfo: unknown } }>("POST", review, {
      body: {},
    });
    return answer.status.userInfo;
  } finally {
    await client.close();
  }
}

test("a client certificate of the server's authority tells who asks, one of another says nothing", async () => {
  assert.deepEqual(await whoAmI(testCertificates.authority), {
    username: "jane",
    groups: ["team-a", "team-b"],
  });
  await assert.rejects(whoAmI(await makeAuthority("another")), {
    name: "StatusError",
    message: "Unauthorized",
  });
});

test("a client that trusts another authority does not connect", async () => {
  const other = await makeAuthority("another");
  const client = new ApiClient({
    server: api.server.url,
    authority: other.certificate,
    namespace: "default",
  });
  await assert.rejects(client.json("GET", "/version"), { name: "UnavailableError" });
  await client.close();
});

test("certificate files are for their owner alone, and the authority is kept", async () => {
  const parent = mkdtempSync(join(tmpdir(), "isobar-certificates-"));
  const directory = join(parent, "pki");
  try {
    const first = await openCertificates(directory, ["127.0.0.1"]);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of readdirSync(directory))
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    const second = await openCertificates(directory, ["127.0.0.1"]);
    assert.deepEqual(second.authority, first.authority);
    assert.equal(readFileSync(join(directory, "server.crt"), "utf8"), second.server.certificate);
  } finally {
    rmSync(parent, { recursive: true });
  }
});
