// The reflector against the real server: whatever breaks on the way, the copy ends up equal to the store.
import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { createServer, connect, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../src/client/api-client.ts";
import { Reflector, type ReflectorOptions } from "../src/client/reflector.ts";
import { configMapKind, type ConfigMap } from "../src/kinds/config-map.ts";
import { Backoff } from "../src/runtime/backoff.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { makeTestClient, startTestApi } from "./api-harness.ts";

interface Small {
  readonly name: string;
  readonly data: string;
}

function strip({ metadata, data }: ConfigMap): Small {
  return { name: metadata.name, data: data?.["value"] ?? "" };
}

/** A reflector of config maps that keeps a second copy, made of what the handlers were told. */
class Follower implements AsyncDisposable {
  readonly told = new Map<string, string>();
  readonly retries: string[] = [];
  readonly reflector: Reflector<ConfigMap, Small>;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(client: ApiClient, options: Partial<ReflectorOptions<ConfigMap, Small>> = {}) {
    this.reflector = new Reflector({
      client,
      kind: configMapKind,
      namespace: "default",
      strip,
      handlers: {
        set: ({ name, data }, old) => {
          assert.equal(old?.data, this.told.get(name), "the old object is what was told last");
          this.told.set(name, data);
        },
        delete: ({ name }) => assert.ok(this.told.delete(name)),
      },
      onRetry: (error) => this.retries.push(error.message),
      backoff: new Backoff({ minMs: 5, maxMs: 50 }),
      ...options,
    });
    this.#done = this.reflector.run(this.#stop.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  /** Waits until the copy equals what the server lists. */
  async settle(client: ApiClient): Promise<void> {
    const { items } = await client.list(configMapKind, { namespace: "default" });
    const wanted = Object.fromEntries(items.map(strip).map(({ name, data }) => [name, data]));
    const copy = (): object =>
      Object.fromEntries([...this.reflector.values()].map(({ name, data }) => [name, data]));
    for (let attempt = 0; attempt < 400; attempt++) {
      try {
        assert.deepEqual(copy(), wanted);
        break;
      } catch {
        await sleep(10);
      }
    }
    assert.deepEqual(copy(), wanted);
    assert.deepEqual(Object.fromEntries(this.told), wanted);
  }
}

async function set(client: ApiClient, name: string, value: string): Promise<void> {
  const object = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data: { value },
  };
  const place = { namespace: "default", name };
  if ((await client.find(configMapKind, place)) === undefined)
    await client.create(configMapKind, object);
  else await client.update(configMapKind, object);
}

async function remove(client: ApiClient, name: string): Promise<void> {
  await client.delete(configMapKind, { namespace: "default", name });
}

test("the copy is listed in pages and then follows creations, changes and deletions", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await Promise.all(Array.from({ length: 1203 }, (_, index) => set(client, `cm-${index}`, "0")));
  await using follower = new Follower(client);
  await follower.reflector.synced;
  assert.equal(follower.reflector.size, 1203);
  assert.deepEqual(follower.reflector.get("default", "cm-7"), { name: "cm-7", data: "0" });
  await set(client, "cm-1", "1");
  await set(client, "new", "1");
  await remove(client, "cm-2");
  await follower.settle(client);
  assert.deepEqual(follower.retries, []);
});

test("a server that restarts over the same store is followed on without listing again", async () => {
  const store = openMemoryStore();
  const first = await startTestApi({ store });
  const port = Number(new URL(first.server.url).port);
  await set(first.client, "a", "1");
  await using follower = new Follower(makeTestClient(first.server.url));
  await follower.reflector.synced;
  await first[Symbol.asyncDispose]();
  await using second = await startTestApi({ store, listen: { port } });
  await set(second.client, "a", "2");
  await set(second.client, "b", "1");
  await follower.settle(second.client);
});

test("a server that comes back empty, or with another past, is listed again", async () => {
  const first = await startTestApi();
  const port = Number(new URL(first.server.url).port);
  for (const name of ["a", "b", "c"]) await set(first.client, name, "first");
  await using follower = new Follower(makeTestClient(first.server.url));
  await follower.reflector.synced;
  await first[Symbol.asyncDispose]();
  await using second = await startTestApi({ listen: { port } });
  await set(second.client, "b", "second");
  await follower.settle(second.client);
});

test("after compaction the copy is listed again", async () => {
  await using api = await startTestApi();
  const { client, store } = api;
  await set(client, "a", "1");
  // Watches end at once, so that the next one begins below the compaction.
  await using follower = new Follower(client, {
    sleep: async () => await sleep(50),
    watchTimeoutSeconds: 1,
  });
  await follower.reflector.synced;
  for (let round = 0; round < 3; round++) {
    await set(client, "a", `round ${round}`);
    await set(client, `b${round}`, "1");
    if (round > 0) await remove(client, `b${round - 1}`);
    await store.compact(await store.currentRevision());
    await sleep(400);
  }
  await follower.settle(client);
});

/** Passes bytes on to the server, and cuts every connection after so many bytes of answers. */
async function startCutter(
  port: number,
  cutAfterBytes: () => number,
  ownPort = 0,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((inside) => {
    const outside = connect(port, "127.0.0.1");
    let left = cutAfterBytes();
    for (const socket of [inside, outside]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        inside.destroy();
        outside.destroy();
      });
    }
    inside.pipe(outside);
    outside.on("data", (chunk) => {
      inside.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) inside.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(ownPort, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("connections that break anywhere, in the middle of lines too, lose and double nothing", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await using cutter = await startCutter(
    Number(new URL(api.server.url).port),
    // A TLS record of up to 16 KiB is read whole or not at all.
    () => 2000 + Math.floor(Math.random() * 30_000),
  );
  const through = makeTestClient(`https://127.0.0.1:${cutter.port}`);
  await using follower = new Follower(through);
  await follower.reflector.synced;
  for (let index = 0; index < 150; index++) {
    await set(client, `cm-${index % 10}`, `value ${index}`);
    if (index % 7 === 0) await remove(client, `cm-${index % 10}`);
  }
  await follower.settle(client);
  assert.ok(follower.retries.length > 0, "some connection was cut");
  await through.close();
});

test("bookmarks move a quiet copy's revision on", async () => {
  await using api = await startTestApi({ bookmarkIntervalMs: 20 });
  const { client, store } = api;
  await using follower = new Follower(client);
  await follower.reflector.synced;
  await client.create(configMapKind, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "elsewhere", namespace: "kube-system" },
  });
  const revision = String(await store.currentRevision());
  for (let attempt = 0; attempt < 100 && follower.reflector.resourceVersion !== revision; attempt++)
    await sleep(10);
  assert.equal(follower.reflector.resourceVersion, revision);
});

test("a server that has long been away is looked for every few seconds, with growing pauses before", async () => {
  // Nothing listens on the port of discard.
  const client = makeTestClient("https://127.0.0.1:9");
  const pauses: number[] = [];
  const stop = new AbortController();
  const reflector = new Reflector({
    client,
    kind: configMapKind,
    strip,
    handlers: { set() {}, delete() {} },
    sleep: async (delayMs) => {
      if (pauses.push(delayMs) === 20) stop.abort();
    },
  });
  await reflector.run(stop.signal);
  assert.ok((pauses[0] ?? 0) <= 100, `first ${pauses[0]} ms`);
  assert.ok((pauses[19] ?? 0) >= 2_000, `last ${pauses[19]} ms`);
  assert.ok(Math.max(...pauses) <= 5_000, pauses.join(" "));
  await client.close();
});

test("what a handler throws ends the run", async () => {
  await using api = await startTestApi();
  await set(api.client, "a", "1");
  const reflector = new Reflector({
    client: api.client,
    kind: configMapKind,
    strip,
    handlers: {
      set() {
        throw new RangeError("a bug");
      },
      delete() {},
    },
  });
  await assert.rejects(reflector.run(new AbortController().signal), RangeError);
});

test("what was deleted and made again while nobody watched is told as another object", async () => {
  await using api = await startTestApi();
  const { client } = api;
  const cutter = await startCutter(
    Number(new URL(api.server.url).port),
    () => Number.POSITIVE_INFINITY,
  );
  const through = makeTestClient(`https://127.0.0.1:${cutter.port}`);
  const told: string[] = [];
  const handlers = {
    set: ({ data }: Small, old: Small | undefined) => told.push(`${old?.data ?? "new"}>${data}`),
    delete: ({ data }: Small) => told.push(`${data}>gone`),
  };
  await set(client, "a", "first");
  await using follower = new Follower(through, { handlers });
  await follower.reflector.synced;
  await cutter[Symbol.asyncDispose]();
  await remove(client, "a");
  await set(client, "a", "second");
  await api.store.compact(await api.store.currentRevision());
  await using again = await startCutter(
    Number(new URL(api.server.url).port),
    () => Number.POSITIVE_INFINITY,
    cutter.port,
  );
  for (let attempt = 0; attempt < 500 && told.length < 3; attempt++) await sleep(10);
  assert.deepEqual(told, ["new>first", "first>gone", "new>second"]);
  await through.close();
  assert.ok(again.port > 0);
});

interface Page {
  readonly code?: number;
  readonly body: object;
}

/** A server that gives these answers to lists, one after the other, and leaves watches open. */
async function startScript(
  answers: Page[],
): Promise<{ url: string; asked: URL[] } & AsyncDisposable> {
  const asked: URL[] = [];
  const server = createHttpServer((request, response) => {
    const url = new URL(request.url ?? "", "http://localhost");
    asked.push(url);
    const { code = 200, body } =
      url.searchParams.has("watch") && answers.length === 0
        ? { body: {} }
        : (answers.shift() ?? { code: 500, body: {} });
    response.writeHead(code, { "content-type": "application/json" });
    if (url.searchParams.has("watch") && code === 200) response.flushHeaders();
    else response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function page(names: readonly string[] | null, resourceVersion: string, next = ""): Page {
  const items =
    names?.map((name) => ({
      metadata: { namespace: "default", name, uid: name, resourceVersion },
      data: { value: name },
    })) ?? null;
  return { body: { metadata: { resourceVersion, continue: next }, items } };
}

async function follow(answers: Page[], lists: number): Promise<[Map<string, string>, URL[]]> {
  await using script = await startScript(answers);
  const client = new ApiClient({ server: script.url, namespace: "default" });
  await using follower = new Follower(client);
  for (let attempt = 0; attempt < 500 && script.asked.length <= lists; attempt++) await sleep(10);
  await client.close();
  return [follower.told, script.asked];
}

const tooLarge = {
  code: 504,
  body: {
    kind: "Status",
    code: 504,
    message: "Timeout: Too large resource version: 9, current: 5",
    details: { causes: [{ reason: "ResourceVersionTooLarge" }] },
  },
};
const expired = { code: 410, body: { kind: "Status", code: 410, reason: "Expired", message: "" } };

test("a list that expires between two pages is fetched in one piece", async () => {
  const answers = [page(["a", "b"], "5", "more"), expired, page(["b", "c"], "7")];
  const [told, asked] = await follow(answers, 3);
  assert.deepEqual([...told.keys()].toSorted(), ["b", "c"]);
  assert.deepEqual(
    asked
      .slice(0, 3)
      .map(({ searchParams }) => [searchParams.get("limit"), searchParams.get("continue")]),
    [
      ["500", null],
      ["500", "more"],
      [null, null],
    ],
  );
  assert.equal(asked[3]?.searchParams.get("resourceVersion"), "7");
});

test("a server that was set back is listed again, and null is an empty list", async () => {
  const [told, asked] = await follow([page(["a"], "9"), tooLarge, page(null, "5")], 3);
  assert.deepEqual([...told.keys()], []);
  assert.equal(asked[3]?.searchParams.get("resourceVersion"), "5");
});

test("an optional kind that is not served is complete with nothing, another one never", async () => {
  await using api = await startTestApi();
  const { client } = api;
  const kind = { ...configMapKind, group: "absent.example.com" };
  await using strict = new Follower(client, { kind });
  await using optional = new Follower(client, { kind, optional: true });
  await optional.reflector.synced;
  assert.equal(optional.reflector.size, 0);
  assert.match(optional.retries[0] ?? "", /could not find the requested resource/);
  const outcome = await Promise.race([strict.reflector.synced.then(() => "synced"), sleep(50)]);
  assert.notEqual(outcome, "synced");
});
