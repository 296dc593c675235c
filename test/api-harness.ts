// A real API server on loopback for tests, and clients for it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ApiServerOptions,
  type RunningApiServer,
  startApiServer,
} from "../src/apiserver/api-server.ts";
import { makeAuthority, makeServerCertificate } from "../src/apiserver/certificates.ts";
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

export interface TestApi extends AsyncDisposable {
  readonly server: RunningApiServer;
  readonly store: Store;
  readonly client: ApiClient;
}

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
  return {
    server,
    store,
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close();
      if (options.store === undefined) await store.close();
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
