// Watches over HTTP: every event once and in order, in the shape asked for, and no client can hold the server up.
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { startTestApi, testCertificates, type TestApi, testToken } from "./api-harness.ts";

const maps = "/api/v1/namespaces/default/configmaps";
const mergePatch = { "content-type": "application/merge-patch+json" };

const agent = new Agent({ connect: { ca: testCertificates.authority.certificate } });
let api: TestApi;
before(async () => {
  api = await startTestApi({ bookmarkIntervalMs: 30, stallTimeoutMs: 300 });
});
after(async () => {
  await agent.destroy();
  await api[Symbol.asyncDispose]();
});

async function create(name: string, labels = {}): Promise<string> {
  const { body } = await api.raw("POST", maps, { body: { metadata: { name, labels } } });
  return body.metadata.resourceVersion;
}

async function label(name: string, labels: object): Promise<void> {
  await api.raw("PATCH", `${maps}/${name}`, {
    body: { metadata: { labels } },
    headers: mergePatch,
  });
}

interface Event {
  readonly type: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly object: any;
}

/** Reads a watch until so many events have come and a little more, or a second has passed. */
async function watch(
  query: string,
  count = Infinity,
  accept = "application/json",
  path = maps,
): Promise<Event[]> {
  const stop = new AbortController();
  // What is counted ends when it is complete, however long a busy machine takes.
  const timeout = `timeoutSeconds=${count === Infinity ? 1 : 20}`;
  const { body } = await request(`${api.server.url}${path}?watch=true&${timeout}&${query}`, {
    headers: { accept, authorization: `Bearer ${testToken}` },
    dispatcher: agent,
    signal: stop.signal,
  });
  const events: Event[] = [];
  let rest = "";
  try {
    for await (const chunk of body) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line): Event => JSON.parse(line)));
      // What comes within this time is one too many.
      if (events.length >= count) setTimeout(() => stop.abort(), 30);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  return events;
}

function brief(events: readonly Event[]): string[] {
  return events.map(({ type, object }) => `${type} ${object.metadata.name ?? ""}`.trim());
}

test("from a revision on come all events of the collection, and of no other", async () => {
  const revision = await create("w-first");
  await create("w-a");
  await label("w-a", { x: "1" });
  await api.raw("POST", "/api/v1/namespaces/kube-public/configmaps", {
    body: { metadata: { name: "elsewhere" } },
  });
  await api.raw("DELETE", `${maps}/w-a`);
  const events = await watch(`resourceVersion=${revision}`, 3);
  assert.deepEqual(brief(events), ["ADDED w-a", "MODIFIED w-a", "DELETED w-a"]);
  const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  assert.equal(events[2]?.object.metadata.labels.x, "1", "a deletion shows the last state");
  assert.ok(
    Number(events[2]?.object.metadata.resourceVersion) >
      Number(events[1]?.object.metadata.resourceVersion),
  );
});

test("without a revision the present state comes first", async () => {
  await create("w-state");
  const events = await watch("fieldSelector=metadata.name=w-state", 1);
  assert.deepEqual(brief(events), ["ADDED w-state"]);
  assert.deepEqual(brief(await watch("resourceVersion=0&fieldSelector=metadata.name=w-state", 1)), [
    "ADDED w-state",
  ]);
  assert.deepEqual(brief(await watch("", 1, "application/json", `${maps}/w-state`)), [
    "ADDED w-state",
  ]);
});

test("an object that begins or ceases to match a selector is added or deleted", async () => {
  const revision = await create("w-moves");
  await label("w-moves", { zone: "in" });
  await label("w-moves", { zone: "in", more: "1" });
  await label("w-moves", { zone: "out" });
  await label("w-moves", { zone: "far" });
  await label("w-moves", { zone: "in" });
  await api.raw("DELETE", `${maps}/w-moves`);
  const events = await watch(`resourceVersion=${revision}&labelSelector=zone=in`, 5);
  assert.deepEqual(
    brief(events).map((line) => line.split(" ")[0]),
    ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"],
  );
});

test("bookmarks tell the revision that everything until now has", async () => {
  const revision = await create("w-bookmark");
  await api.raw("POST", "/api/v1/namespaces/kube-public/configmaps", {
    body: { metadata: { name: "w-quiet" } },
  });
  const events = await watch(`resourceVersion=${revision}&allowWatchBookmarks=true`, 3);
  assert.ok(events.length > 2);
  assert.deepEqual([...new Set(events.map(({ type }) => type))], ["BOOKMARK"]);
  assert.equal(
    events.at(-1)?.object.metadata.resourceVersion,
    String(await api.store.currentRevision()),
  );
  assert.equal(events.at(-1)?.object.kind, "ConfigMap");
});

test("sendInitialEvents ends the present state with a marked bookmark", async () => {
  await create("w-initial");
  const events = await watch(
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
  );
  const marked = events.findIndex(
    ({ object }) => object.metadata.annotations?.["k8s.io/initial-events-end"] === "true",
  );
  assert.equal(events[marked]?.type, "BOOKMARK");
  assert.deepEqual([...new Set(events.slice(0, marked).map(({ type }) => type))], ["ADDED"]);
  assert.ok(brief(events.slice(0, marked)).includes("ADDED w-initial"));
  assert.equal((await api.raw("GET", `${maps}?watch=true&sendInitialEvents=true`)).code, 400);
  assert.equal((await api.raw("GET", `${maps}?watch=true&timeoutSeconds=soon`)).code, 400);
});

test("a revision that is compacted, or from another store, is gone", async () => {
  const revision = await create("w-old");
  await create("w-new");
  await api.store.compact(await api.store.currentRevision());
  for (const query of [`resourceVersion=${revision}`, "resourceVersion=999999999"]) {
    const events = await watch(query, 1);
    assert.deepEqual(
      [events[0]?.type, events[0]?.object.code, events[0]?.object.reason],
      ["ERROR", 410, "Expired"],
    );
  }
});

test("events come as tables or metadata when asked for", async () => {
  const revision = await create("w-shape");
  await label("w-shape", { a: "b" });
  const [table] = await watch(
    `resourceVersion=${revision}`,
    1,
    "application/json;as=Table;v=v1;g=meta.k8s.io",
  );
  assert.deepEqual([table?.object.kind, table?.object.rows[0].cells[0]], ["Table", "w-shape"]);
  const [metadata] = await watch(
    `resourceVersion=${revision}`,
    1,
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  );
  assert.deepEqual(
    [metadata?.object.kind, metadata?.object.data],
    ["PartialObjectMetadata", undefined],
  );
});

test("a client that does not read is cut off, and others get everything", async () => {
  const revision = await create("w-slow");
  const { hostname, port } = new URL(api.server.url);
  const slow = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  slow.write(
    `GET ${maps}?watch=true&resourceVersion=${revision} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testToken}\r\n\r\n`,
  );
  slow.pause();
  const closed = new Promise((resolve) => slow.on("close", resolve).on("error", () => {}));
  const big = "x".repeat(500_000);
  for (let index = 0; index < 40; index++) {
    await api.raw("PATCH", `${maps}/w-slow`, {
      body: { data: { big: `${index}${big}` } },
      headers: mergePatch,
    });
  }
  const events = await watch(`resourceVersion=${revision}`, 40);
  assert.equal(events.length, 40);
  await sleep(400);
  slow.resume();
  await closed;
});

test("many watchers of one collection see the same events", async () => {
  const revision = await create("w-many");
  const watches = Array.from({ length: 20 }, () => watch(`resourceVersion=${revision}`, 100));
  for (let index = 0; index < 100; index++) await label("w-many", { index: String(index) });
  const [first, ...others] = await Promise.all(watches);
  assert.equal(first?.length, 100);
  for (const other of others) assert.deepEqual(other, first);
});
