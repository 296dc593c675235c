// Requests that no well-meant client sends, and long ones that it does: each gets a Status, at once.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { type TestApi, startTestApi, testToken } from "./api-harness.ts";

const configMaps = "/api/v1/namespaces/default/configmaps";
const yaml = { "content-type": "application/yaml" } as const;
let api: TestApi;

before(async () => {
  api = await startTestApi();
});

after(async () => await api[Symbol.asyncDispose]());

/** Sends bytes past every client library; gives all that comes back before the server closes. */
async function exchange(bytes: string): Promise<string> {
  const { hostname, port } = new URL(api.server.url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  socket.end(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

for (const [line, code] of [
  ["GET //", 400],
  ["GET /api/v1/namespaces/%ff/configmaps", 400],
  ["GET /api/v1/namespaces/../../etc/passwd", 404],
  ["GET /api/v1/namespaces/default%2fconfigmaps", 404],
  ["GET /apis/constructor/prototype/__proto__", 404],
  ["PROPFIND /api/v1/pods", 404],
] as const) {
  test(`${line} is answered with a Status`, async () => {
    const head = `host: x\r\nauthorization: Bearer ${testToken}\r\nconnection: close`;
    const answer = await exchange(`${line} HTTP/1.1\r\n${head}\r\n\r\n`);
    const [status = "", body = ""] = answer.split("\r\n\r\n");
    assert.match(status, new RegExp(`^HTTP/1.1 ${code} `), answer);
    const { kind, code: inside } = JSON.parse(body);
    assert.deepEqual([kind, inside], ["Status", code]);
  });
}

test("a label selector of thousands of requirements is taken", async () => {
  const selector = Array.from({ length: 5_000 }, (_, index) => `key-${index}=value`).join(",");
  const { code } = await api.raw("GET", `${configMaps}?labelSelector=${selector}`);
  assert.equal(code, 200);
});

for (const [what, body, message] of [
  ["repeated keys", "a: 1\nb: { c: 1, c: 2 }", /Map keys must be unique: c/],
  ["two documents", "a: 1\n---\na: 2", /multiple documents/],
  ["aliases of aliases", aliases(9), /alias/],
  ["brackets without end", "[".repeat(10_000), /decoding/],
] as const) {
  test(`YAML with ${what} is refused`, async () => {
    const answer = await api.raw("POST", configMaps, { body, headers: yaml });
    assert.equal(answer.code, 400);
    assert.match(answer.body.message, message);
  });
}

/** Nine times as much in each line. */
function aliases(length: number): string {
  const lines = Array.from({ length }, (_, index) => {
    const list = Array.from({ length: 9 }, () => `*a${index}`).join(", ");
    return `a${index + 1}: &a${index + 1} [${list}]`;
  });
  return ["a0: &a0 x", ...lines].join("\n");
}

test("flow YAML that is no JSON is read as YAML", async () => {
  const body = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: flow } }";
  const { code } = await api.raw("POST", configMaps, { body, headers: yaml });
  assert.equal(code, 201);
});
