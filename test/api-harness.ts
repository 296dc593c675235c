// A real API server on loopback for tests, and clients for it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import {
  type ApiServerOptions,
  type RunningApiServer,
  startApiServer,
} from "../src/apiserver/api-server.ts";
import { makeAuthority, makeServerCertificate } from "../src/runtime/certificates.ts";
import { writeKubeconfig } from "../src/apiserver/kubeconfig.ts";
import { ApiClient } from "../src/client/api-client.ts";
import { kinds } from "../src/kinds/kinds.ts";
import { createLog } from "../src/runtime/log.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import type { Store } from "../src/store/store.ts";

export const testToken = "test-token";

const authority = await makeAuthority("test");
export const testCertificates = {
  authority,
  server: await makeServerCertificate(authority, ["localhost", "127.0.0.1"]),
};

interface RawAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The text as JSON. Tests know what they asked for, and fail where it is something else. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

interface RawRequest {
  /** An object is sent as JSON, text as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
}

export interface TestApi extends AsyncDisposable {
  readonly server: RunningApiServer;
  readonly store: Store;
  readonly client: ApiClient;
  /** Any request, with the test's token unless told otherwise. */
  raw(method: Method, path: string, options?: RawRequest): Promise<RawAnswer>;
}

type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Starts a server with all kinds over the store given, or one in memory. */
export async function startTestApi(options: Partial<ApiServerOptions> = {}): Promise<TestApi> {
  const store = options.store ?? openMemoryStore();
  const server = await startApiServer({
    kinds,
    certificates: testCertificates,
    tokens: [{ token: testToken, name: "tester", groups: ["system:masters"] }],
    log: createLog({ name: "test", level: "error" }),
    ...options,
    store,
  });
  const client = makeTestClient(server.url);
  const agent = new Agent({ connect: { ca: authority.certificate } });
  return {
    server,
    store,
    client,
    raw: (method, path, raw = {}) => sendRaw(agent, method, server.url + path, raw),
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), agent.destroy()]);
      await server.close();
      if (options.store === undefined) await store.close();
    },
  };
}

async function sendRaw(
  agent: Agent,
  method: Method,
  url: string,
  options: RawRequest,
): Promise<RawAnswer> {
  const { body, headers = {} } = options;
  const token = "token" in options ? options.token : testToken;
  const response = await request(url, {
    method,
    dispatcher: agent,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.body.text();
  return {
    code: response.statusCode,
    headers: response.headers,
    text,
    get body() {
      return JSON.parse(text);
    },
  };
}

export function makeTestClient(server: string): ApiClient {
  return new ApiClient({
    server,
    authority: testCertificates.authority.certificate,
    token: () => testToken,
    namespace: "default",
  });
}

/** A kubeconfig for the server, in a directory of its own. */
export function writeTestKubeconfig(server: string): { path: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "isobar-kubeconfig-"));
  const path = join(directory, "config");
  writeKubeconfig(path, {
    server,
    authority: testCertificates.authority.certificate,
    token: testToken,
    name: "test",
  });
  return { path, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}
