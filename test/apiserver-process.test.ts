// The API server as a process: started, stopped, killed.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../src/client/api-client.ts";
import { loadKubeconfig } from "../src/client/kubeconfig.ts";
import { configMapKind } from "../src/kinds/config-map.ts";

const main = new URL("../src/main/apiserver.ts", import.meta.url).pathname;

class Process implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "isobar-apiserver-"));
  readonly kubeconfig = join(this.#directory, "kubeconfig");
  #child: ChildProcess | undefined;
  #client: ApiClient | undefined;

  async start(...flags: string[]): Promise<ApiClient> {
    rmSync(this.kubeconfig, { force: true });
    const { path } = this;
    const all = [
      "--data",
      path("state.db"),
      "--cert-dir",
      path("pki"),
      "--listen",
      "127.0.0.1:0",
      "--kubeconfig-out",
      this.kubeconfig,
    ];
    this.#child = spawn(process.execPath, [main, ...all, ...flags], {
      stdio: ["ignore", "inherit", "ignore"],
    });
    for (let attempt = 0; attempt < 1000 && !existsSync(this.kubeconfig); attempt++)
      await sleep(10);
    this.#client = new ApiClient(loadKubeconfig(this.kubeconfig));
    return this.#client;
  }

  readonly path = (name: string): string => join(this.#directory, name);

  /** Returns the exit code, or the signal that ended it. */
  async stop(signal: NodeJS.Signals): Promise<unknown> {
    assert.ok(this.#child);
    await this.#client?.close();
    const exit = once(this.#child, "exit");
    this.#child.kill(signal);
    const [code, by]: unknown[] = await exit;
    return code ?? by;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null)
      await this.stop("SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function create(client: ApiClient, name: string): Promise<void> {
  const metadata = { name, namespace: "default" };
  await client.create(configMapKind, { apiVersion: "v1", kind: "ConfigMap", metadata });
}

test("stopped with SIGTERM, even under a watch, it ends at once and cleanly, and goes on where it was", async () => {
  await using server = new Process();
  const first = await server.start();
  assert.equal(statSync(server.kubeconfig).mode & 0o777, 0o600);
  await create(first, "kept");
  const watching = first
    .json("GET", "/api/v1/configmaps", { query: { watch: true } })
    .catch(() => {});
  const begun = performance.now();
  assert.equal(await server.stop("SIGTERM"), 0);
  assert.ok(performance.now() - begun < 4000);
  await watching;
  const second = await server.start();
  assert.equal(
    (await second.get(configMapKind, { namespace: "default", name: "kept" })).metadata.name,
    "kept",
  );
  assert.equal(await server.stop("SIGINT"), 0);
});

test("killed in the middle of writes it has everything that it acknowledged", async () => {
  await using server = new Process();
  const first = await server.start();
  const acknowledged: string[] = [];
  const stop = new AbortController();
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let index = 0; !stop.signal.aborted; index++) {
      const name = `cm-${writer}-${index}`;
      try {
        await create(first, name);
        acknowledged.push(name);
      } catch {
        return;
      }
    }
  });
  while (acknowledged.length < 100) await sleep(5);
  assert.equal(await server.stop("SIGKILL"), "SIGKILL");
  stop.abort();
  await Promise.all(writers);
  const second = await server.start();
  const { items } = await second.list(configMapKind, { namespace: "default" });
  const kept = new Set(items.map(({ metadata }) => metadata.name));
  assert.deepEqual(
    acknowledged.filter((name) => !kept.has(name)),
    [],
  );
  await server.stop("SIGTERM");
});

test("wrong flags and a store in use are explained on standard error, with a code that is not 0", async () => {
  await using server = new Process();
  await server.start();
  for (const flags of [
    ["--listen", "nonsense"],
    ["--listen", "127.0.0.1:0"],
  ]) {
    const args = [
      main,
      "--data",
      server.path("state.db"),
      "--cert-dir",
      server.path("pki"),
      ...flags,
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += String(chunk);
    });
    const [code]: unknown[] = await once(child, "exit");
    assert.equal(code, 1);
    assert.match(stderr, /expected HOST:PORT|cannot open the store/);
  }
});
