// Objects over HTTP: what each verb does, and what it answers when it does not.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startTestApi, type TestApi } from "./api-harness.ts";

const maps = "/api/v1/namespaces/default/configmaps";
const listed = "/api/v1/namespaces/kube-public/configmaps";
const deployments = "/apis/apps/v1/namespaces/default/deployments";

function configMap(name: string, data: Record<string, string> = {}, labels = {}): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
}

function deployment(name: string): object {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "i" }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec };
}

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

/** Code and message of the answer to a creation. */
async function post(body: unknown, headers = {}): Promise<[number, string]> {
  const answer = await api.raw("POST", maps, { body, headers });
  return [answer.code, answer.body.message];
}

async function codeOf(method: "GET" | "POST" | "PUT", path: string): Promise<number> {
  return (await api.raw(method, path, method === "GET" ? {} : { body: configMap("a") })).code;
}

async function listAs(accept: string): ReturnType<TestApi["raw"]> {
  return await api.raw("GET", `${listed}?limit=2`, { headers: { accept } });
}

function namesOf(body: { items: { metadata: { name: string } }[] }): string[] {
  return body.items.map((item) => item.metadata.name);
}

describe("create", () => {
  test("fills in identity, time and defaults", async () => {
    const { code, body } = await api.raw("POST", deployments, { body: deployment("made") });
    assert.equal(code, 201);
    assert.match(body.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(body.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(body.metadata.generation, 1);
    assert.equal(body.metadata.namespace, "default");
    assert.equal(body.metadata.resourceVersion, String(await api.store.currentRevision()));
    assert.equal(body.spec.strategy.type, "RollingUpdate");
    assert.deepEqual((await api.raw("GET", `${deployments}/made`)).body, body);
  });

  test("refuses a name that is taken", async () => {
    await api.raw("POST", maps, { body: configMap("taken") });
    const { code, body } = await api.raw("POST", maps, { body: configMap("taken") });
    assert.equal(code, 409);
    assert.deepEqual(body, {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'configmaps "taken" already exists',
      reason: "AlreadyExists",
      details: { name: "taken", kind: "configmaps" },
      code: 409,
    });
  });

  test("makes up a name from generateName", async () => {
    const body = { metadata: { generateName: "gen-" } };
    const names = await Promise.all(
      Array.from(
        { length: 20 },
        async () => (await api.raw("POST", maps, { body })).body.metadata.name,
      ),
    );
    assert.equal(new Set(names).size, 20);
    for (const name of names) assert.match(name, /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  test("says what is wrong with a body", async () => {
    assert.equal((await post("{"))[0], 400);
    assert.equal((await post(""))[0], 400);
    assert.equal((await post("[1]"))[0], 400);
    assert.deepEqual(await post({ metadata: {} }), [
      422,
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ]);
    assert.match((await post(configMap("Upper")))[1], /metadata.name: Invalid value: "Upper"/);
    assert.match(
      (await post({ ...configMap("a"), kind: "Pod" }))[1],
      /kind in the data \(Pod\) does not match/,
    );
    assert.match((await post({ ...configMap("a"), data: { a: 1 } }))[1], /data.a/);
    const other = { metadata: { name: "a", namespace: "kube-system" } };
    assert.deepEqual(await post(other), [
      400,
      "the namespace of the provided object does not match the namespace sent on the request",
    ]);
    assert.equal((await post(configMap("a"), { "content-type": "text/plain" }))[0], 415);
    assert.equal((await post({ metadata: { name: "a", resourceVersion: "5" } }))[0], 400);
  });

  test("reads YAML", async () => {
    const { code, body } = await api.raw("POST", maps, {
      body: "metadata:\n  name: yaml\ndata:\n  a: b\n",
      headers: { "content-type": "application/yaml" },
    });
    assert.deepEqual([code, body.data], [201, { a: "b" }]);
  });

  test("refuses bodies over 3 MiB", async () => {
    const { code, body } = await api.raw("POST", maps, {
      body: configMap("big", { a: "x".repeat(3 << 20) }),
    });
    assert.equal(code, 413);
    assert.equal(body.reason, "RequestEntityTooLarge");
  });

  test("treats unknown fields as fieldValidation says", async () => {
    const body = { ...configMap("fields"), colour: "red" };
    const strict = await api.raw("POST", `${maps}?fieldValidation=Strict`, { body });
    assert.equal(strict.code, 400);
    assert.match(strict.body.message, /strict decoding error: unknown field "colour"/);
    const warn = await api.raw("POST", maps, { body });
    assert.deepEqual(
      [warn.code, warn.headers["warning"]],
      [201, '299 - "unknown field \\"colour\\""'],
    );
    assert.equal(warn.body.colour, undefined);
    const ignore = await api.raw("POST", `${maps}?fieldValidation=Ignore`, {
      body: { ...configMap("ignored"), colour: "red" },
    });
    assert.equal(ignore.headers["warning"], undefined);
    assert.equal((await api.raw("POST", `${maps}?fieldValidation=Maybe`, { body })).code, 400);
  });

  test("with dryRun checks everything and stores nothing", async () => {
    const revision = await api.store.currentRevision();
    const { code, body } = await api.raw("POST", `${maps}?dryRun=All`, { body: configMap("dry") });
    assert.deepEqual([code, body.metadata.resourceVersion], [201, undefined]);
    assert.equal(
      (await api.raw("POST", `${maps}?dryRun=All`, { body: configMap("taken") })).code,
      409,
    );
    assert.equal(
      (await api.raw("POST", `${maps}?dryRun=Some`, { body: configMap("dry") })).code,
      400,
    );
    assert.equal(await api.store.currentRevision(), revision);
  });

  test("needs a namespace that is there and not going", async () => {
    const missing = await api.raw("POST", maps.replace("default", "nowhere"), {
      body: configMap("a"),
    });
    assert.deepEqual([missing.code, missing.body.message], [404, 'namespaces "nowhere" not found']);
    await api.raw("POST", "/api/v1/namespaces", { body: { metadata: { name: "going" } } });
    const held = { metadata: { name: "held", finalizers: ["example.com/hold"] } };
    const goingMaps = maps.replace("default", "going");
    await api.raw("POST", goingMaps, { body: held });
    const gone = await api.raw("DELETE", "/api/v1/namespaces/going");
    assert.equal(gone.body.status.phase, "Terminating");
    const { code, body } = await api.raw("POST", goingMaps, { body: configMap("late") });
    assert.equal(code, 403);
    assert.equal(
      body.message,
      'configmaps "late" is forbidden: unable to create new content in namespace going because it is being terminated',
    );
    assert.equal(body.details.causes[0].reason, "NamespaceTerminating");
    await api.raw("PATCH", `${goingMaps}/held`, {
      body: { metadata: { finalizers: null } },
      headers: { "content-type": "application/merge-patch+json" },
    });
  });
});

describe("update", () => {
  test("with a stale resourceVersion is a conflict, without one overwrites", async () => {
    const made = (await api.raw("POST", maps, { body: configMap("race", { a: "1" }) })).body;
    await api.raw("PUT", `${maps}/race`, { body: { ...made, data: { a: "2" } } });
    const stale = await api.raw("PUT", `${maps}/race`, { body: { ...made, data: { a: "3" } } });
    assert.deepEqual(
      [stale.code, stale.body.reason, stale.body.message],
      [
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "race": the object has been modified; please apply your changes to the latest version and try again',
      ],
    );
    const blind = await api.raw("PUT", `${maps}/race`, { body: configMap("race", { a: "4" }) });
    assert.deepEqual(
      [blind.code, blind.body.data.a, blind.body.metadata.uid],
      [200, "4", made.metadata.uid],
    );
  });

  test("cannot rename, take another's identity, or make what is missing", async () => {
    await api.raw("POST", maps, { body: configMap("same") });
    assert.equal((await api.raw("PUT", `${maps}/same`, { body: configMap("other") })).code, 400);
    const uid = { metadata: { name: "same", uid: "other" } };
    assert.equal((await api.raw("PUT", `${maps}/same`, { body: uid })).code, 409);
    assert.equal((await api.raw("PUT", `${maps}/absent`, { body: configMap("absent") })).code, 404);
  });

  test("that changes nothing writes nothing", async () => {
    const made = (await api.raw("POST", maps, { body: configMap("still", { a: "1" }) })).body;
    const again = await api.raw("PUT", `${maps}/still`, { body: made });
    assert.deepEqual(again.body, made);
    assert.equal(String(await api.store.currentRevision()), made.metadata.resourceVersion);
  });

  test("of the spec counts generations and keeps the status; of the status the other way round", async () => {
    const path = `${deployments}/parts`;
    const made = (await api.raw("POST", deployments, { body: deployment("parts") })).body;
    const status = { replicas: 1 };
    const changed = { ...made, spec: { ...made.spec, replicas: 7 }, status };
    const first = (await api.raw("PUT", path, { body: changed })).body;
    assert.deepEqual(
      [first.metadata.generation, first.spec.replicas, first.status.replicas],
      [2, 7, undefined],
    );
    const shrunk = { ...first, spec: { ...first.spec, replicas: 1 }, status };
    const second = (await api.raw("PUT", `${path}/status`, { body: shrunk })).body;
    assert.deepEqual(
      [second.metadata.generation, second.spec.replicas, second.status.replicas],
      [2, 7, 1],
    );
    const labelled = { ...second, metadata: { ...second.metadata, labels: { a: "b" } } };
    assert.equal((await api.raw("PUT", path, { body: labelled })).body.metadata.generation, 2);
  });

  test("by many patches at once loses none", async () => {
    await api.raw("POST", maps, { body: configMap("busy") });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        api.raw("PATCH", `${maps}/busy`, {
          body: { data: { [`key-${index}`]: "x" } },
          headers: { "content-type": "application/merge-patch+json" },
        }),
      ),
    );
    assert.deepEqual([...new Set(answers.map(({ code }) => code))], [200]);
    const { body } = await api.raw("GET", `${maps}/busy`);
    assert.equal(Object.keys(body.data).length, 40);
  });

  test("by a patch that does not fit or is of no known type is refused", async () => {
    await api.raw("POST", maps, { body: configMap("patched") });
    const patch = async (type: string, body: unknown): Promise<number> =>
      (await api.raw("PATCH", `${maps}/patched`, { body, headers: { "content-type": type } })).code;
    assert.equal(
      await patch("application/json-patch+json", [{ op: "test", path: "/data", value: 1 }]),
      422,
    );
    assert.equal(await patch("application/json-patch+json", { a: 1 }), 422);
    assert.equal(await patch("application/json", {}), 415);
    assert.equal(await patch("application/merge-patch+json", "{"), 400);
    assert.equal(
      await patch("application/merge-patch+json", { metadata: { resourceVersion: "1" } }),
      409,
    );
    assert.equal(await patch("application/merge-patch+json", { data: { a: 1 } }), 422);
  });
});

describe("list", () => {
  before(async () => {
    for (let index = 0; index < 25; index++) {
      const labels = { parity: index % 2 === 0 ? "even" : "odd" };
      const name = `item-${String(index).padStart(2, "0")}`;
      await api.raw("POST", listed, { body: configMap(name, {}, labels) });
    }
  });

  test("in pages is one consistent state, whatever is written meanwhile", async () => {
    const whole = (await api.raw("GET", listed)).body;
    const names: string[] = [];
    let token = "";
    for (;;) {
      const { body } = await api.raw("GET", `${listed}?limit=7&continue=${token}`);
      assert.equal(body.metadata.resourceVersion, whole.metadata.resourceVersion);
      names.push(...namesOf(body));
      await api.raw("POST", listed, { body: configMap(`item-05-late-${names.length}`) });
      token = body.metadata.continue ?? "";
      if (token === "") break;
    }
    assert.deepEqual(names, namesOf(whole));
    for (const name of namesOf((await api.raw("GET", listed)).body)) {
      if (name.includes("late")) await api.raw("DELETE", `${listed}/${name}`);
    }
  });

  test("in pages goes on searching until a page is full", async () => {
    const first = (await api.raw("GET", `${listed}?limit=10&labelSelector=parity=odd`)).body;
    assert.equal(first.items.length, 10);
    const rest = await api.raw(
      "GET",
      `${listed}?limit=10&labelSelector=parity=odd&continue=${first.metadata.continue}`,
    );
    assert.equal(rest.body.items.length, 2);
  });

  test("that goes on after its revision was compacted is told so, with a token for the rest", async () => {
    const first = (await api.raw("GET", `${listed}?limit=20`)).body;
    await api.raw("POST", maps, { body: configMap("passing") });
    await api.store.compact(await api.store.currentRevision());
    const gone = await api.raw("GET", `${listed}?limit=20&continue=${first.metadata.continue}`);
    assert.deepEqual([gone.code, gone.body.reason], [410, "Expired"]);
    const rest = (
      await api.raw("GET", `${listed}?limit=20&continue=${gone.body.metadata.continue}`)
    ).body;
    assert.deepEqual(namesOf(rest), ["item-20", "item-21", "item-22", "item-23", "item-24"]);
  });

  test("knows exact and not older resource versions", async () => {
    const then = (await api.raw("GET", listed)).body.metadata.resourceVersion;
    await api.raw("POST", listed, { body: configMap("later") });
    const names = async (query: string): Promise<string[]> =>
      namesOf((await api.raw("GET", `${listed}?${query}`)).body);
    const exact = await names(`resourceVersion=${then}&resourceVersionMatch=Exact`);
    assert.ok(!exact.includes("later"));
    assert.ok(
      (await names(`resourceVersion=${then}&resourceVersionMatch=NotOlderThan`)).includes("later"),
    );
    assert.ok((await names("resourceVersion=0")).includes("later"));
    const code = async (query: string): Promise<number> =>
      (await api.raw("GET", `${listed}?${query}`)).code;
    assert.equal(await code("resourceVersion=999999999&resourceVersionMatch=Exact"), 504);
    assert.equal(await code("resourceVersionMatch=Exact"), 400);
    assert.equal(await code("resourceVersion=x"), 400);
    assert.equal(await code("continue=x"), 400);
    assert.equal(await code("limit=x"), 400);
    assert.equal(await code("labelSelector=a=b=c"), 400);
    assert.equal(await code("fieldSelector=a=b"), 400);
    await api.raw("DELETE", `${listed}/later`);
  });

  test("comes as table, as metadata or as YAML, as the client accepts", async () => {
    const { body: table } = await listAs(
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    );
    assert.deepEqual([table.kind, table.apiVersion], ["Table", "meta.k8s.io/v1"]);
    assert.deepEqual(
      table.columnDefinitions.map((column: { name: string }) => column.name),
      ["Name", "Data", "Age"],
    );
    assert.equal(table.rows[0].object.kind, "PartialObjectMetadata");
    assert.ok(table.metadata.continue);
    const old = await listAs("application/json;as=Table;v=v1beta1;g=meta.k8s.io");
    assert.equal(old.body.apiVersion, "meta.k8s.io/v1beta1");
    const { body: metadata } = await listAs(
      "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    );
    assert.deepEqual(
      [metadata.kind, metadata.items[0].data],
      ["PartialObjectMetadataList", undefined],
    );
    assert.match((await listAs("application/yaml")).text, /^kind: ConfigMapList\n/);
    assert.equal(
      (await listAs("application/vnd.kubernetes.protobuf, application/json")).body.kind,
      "ConfigMapList",
    );
    assert.equal((await listAs("text/html")).code, 406);
  });
});

test("paths that lead nowhere are not found, verbs that are not there not allowed", async () => {
  assert.equal(await codeOf("GET", "/api/v1/unicorns"), 404);
  assert.equal(await codeOf("GET", "/apis/nope/v1/configmaps"), 404);
  assert.equal(await codeOf("GET", "/api/v1/configmaps/a"), 404);
  assert.equal(await codeOf("GET", `${maps}/a/b`), 404);
  assert.equal(await codeOf("GET", "/api/v1/namespaces/default/nodes"), 404);
  assert.equal(await codeOf("GET", "/nothing"), 404);
  assert.equal(await codeOf("GET", "/api/v1/%zz"), 400);
  assert.equal(await codeOf("POST", `${maps}/a`), 405);
  assert.equal(await codeOf("PUT", maps), 405);
});

test("scale reads and changes replicas alone", async () => {
  await api.raw("POST", deployments, { body: deployment("scaled") });
  const scale = (await api.raw("GET", `${deployments}/scaled/scale`)).body;
  assert.deepEqual(
    [scale.kind, scale.spec.replicas, scale.status.selector],
    ["Scale", 1, "app=scaled"],
  );
  const put = await api.raw("PUT", `${deployments}/scaled/scale`, {
    body: { ...scale, spec: { replicas: 3 } },
  });
  assert.equal(put.body.spec.replicas, 3);
  const stale = await api.raw("PUT", `${deployments}/scaled/scale`, {
    body: { ...scale, spec: { replicas: 4 } },
  });
  assert.equal(stale.code, 409);
  const { body } = await api.raw("GET", `${deployments}/scaled`);
  assert.deepEqual([body.spec.replicas, body.metadata.generation], [3, 2]);
});

test("a binding gives a pod its node, once", async () => {
  const pods = "/api/v1/namespaces/default/pods";
  const spec = { containers: [{ name: "c", image: "i" }] };
  await api.raw("POST", pods, { body: { metadata: { name: "bound" }, spec } });
  const bind = async (name: string): Promise<number> =>
    (await api.raw("POST", `${pods}/bound/binding`, { body: { target: { kind: "Node", name } } }))
      .code;
  assert.equal(await bind("node-1"), 201);
  assert.equal(await bind("node-2"), 409);
  assert.equal((await api.raw("GET", `${pods}/bound`)).body.spec.nodeName, "node-1");
});

test("events expire: they are stored with a lease", async () => {
  const body = {
    metadata: { name: "told" },
    involvedObject: { kind: "Pod", namespace: "default", name: "a" },
    reason: "Started",
  };
  assert.equal((await api.raw("POST", "/api/v1/namespaces/default/events", { body })).code, 201);
  const { entries } = await api.store.range({ prefix: "/registry/core/events/" });
  assert.equal(typeof entries[0]?.lease, "number");
});
