// The API server over HTTPS: creations, lists and the fan-out of watches, with the store in memory and in SQLite. The client
// has a thread of its own, on the same machine. `--quick` does a tenth.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Agent, request } from "undici";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { openSqliteStore } from "../src/store/sqlite-store.ts";
import type { Store } from "../src/store/store.ts";
import { startTestApi, testToken } from "../test/api-harness.ts";

const scale = process.argv.includes("--quick") ? 0.1 : 1;
const pods = 10_000 * scale;
const watchers = 100;
const changes = 1000 * scale;
const inFlight = 32;

const table = "application/json;as=Table;v=v1;g=meta.k8s.io";

if (isMainThread) {
  const directory = mkdtempSync(join(tmpdir(), "isobar-bench-"));
  try {
    await measure("memory", openMemoryStore());
    await measure("SQLite", openSqliteStore(join(directory, "state.db")));
  } finally {
    rmSync(directory, { recursive: true });
  }
} else {
  await runClient(String(workerData));
}

async function measure(name: string, store: Store): Promise<void> {
  await using api = await startTestApi({ store });
  console.log(`store: ${name}`);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: api.server.url,
    argv: process.argv.slice(2),
  });
  await new Promise((resolve) => worker.once("exit", resolve));
  await store.close();
}

async function runClient(server: string): Promise<void> {
  const agent = new Agent({ connections: inFlight, connect: { rejectUnauthorized: false } });
  const watchAgent = new Agent({ connect: { rejectUnauthorized: false } });
  const collection = `${server}/api/v1/namespaces/default/pods`;
  const authorization = `Bearer ${testToken}`;

  const created = await timed(() =>
    spread(pods, async (index) => {
      const headers = { authorization, "content-type": "application/json" };
      const { body } = await request(collection, {
        method: "POST",
        headers,
        body: podJson(index),
        dispatcher: agent,
      });
      await body.dump();
    }),
  );
  console.log(`  ${pods} pods created: ${Math.round(pods / created)}/s`);

  for (const [name, query, accept] of [
    ["whole objects", "", "application/json"],
    ["table", "", table],
    ["by label", "?labelSelector=app%3Dapp-1", "application/json"],
    ["first 500", "?limit=500", "application/json"],
  ] as const) {
    let sizeBytes = 0;
    const seconds = await timed(async () => {
      const { body } = await request(collection + query, {
        headers: { authorization, accept },
        dispatcher: agent,
      });
      sizeBytes = (await body.arrayBuffer()).byteLength;
    });
    console.log(
      `  list, ${name}: ${Math.round(seconds * 1000)} ms, ${(sizeBytes / 1e6).toFixed(1)} MB`,
    );
  }

  const { body: page } = await request(`${collection}?limit=1`, {
    headers: { authorization },
    dispatcher: agent,
  });
  const { resourceVersion } = JSON.parse(await page.text()).metadata;
  let events = 0;
  for (let index = 0; index < watchers; index++) {
    const url = `${collection}?watch=true&resourceVersion=${resourceVersion}`;
    const { body } = await request(url, { headers: { authorization }, dispatcher: watchAgent });
    body.on("data", (chunk: Buffer) => {
      for (const byte of chunk) if (byte === 0x0a) events += 1;
    });
    body.on("error", () => {});
  }
  const fanned = await timed(async () => {
    await spread(changes, async (index) => {
      const headers = { authorization, "content-type": "application/merge-patch+json" };
      const body = '{"metadata":{"labels":{"changed":"yes"}}}';
      const answer = await request(`${collection}/pod-${index}`, {
        method: "PATCH",
        headers,
        body,
        dispatcher: agent,
      });
      await answer.body.dump();
    });
    await until(() => events >= changes * watchers);
  });
  console.log(
    `  ${changes} changes to ${watchers} watches: ${Math.round(events / fanned)} events/s`,
  );
  await Promise.all([agent.destroy(), watchAgent.destroy()]);
}

function podJson(index: number): string {
  const container = { name: "web", image: "nginx", ports: [{ containerPort: 80 }] };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `pod-${index}`, labels: { app: `app-${index % 50}`, tier: "front" } },
    spec: { nodeName: "node-1", containers: [container] },
  });
}

/** Calls `run` with 0 to count - 1, so many at a time. */
async function spread(count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await sleep(2);
}

/** In seconds. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return (performance.now() - begun) / 1000;
}
