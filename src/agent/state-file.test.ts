import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { digestOf } from "../southbound/digest.ts";
import type { Resource } from "../southbound/resources.ts";
import { StateFile, type StoredAttachment } from "./state-file.ts";

function pathFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "isobar-state-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "deep", "agent.db");
}

const never = (): void => assert.fail("the file is not corrupt");
const group: Resource = { kind: "group", id: "g", identities: ["a"], networks: [] };
const domain: Resource = { kind: "domain", id: "d", vni: 1, pools: [] };
const attachment: StoredAttachment = {
  port: "iso1",
  endpoint: "a/b",
  container: "c",
  interface: "eth0",
  netns: "/run/netns/x",
  ofportRequest: 16,
  attachedMs: 1,
};
const nothing = { delta: { upserts: [], deletes: [] }, numbers: [], complete: false } as const;

test("what is written is there after a restart", (t) => {
  const path = pathFor(t);
  {
    using file = StateFile.open(path, never);
    assert.equal(file.complete, false);
    file.write({
      delta: { upserts: [group, domain], deletes: [] },
      numbers: [
        { kind: "rule", key: "r", number: 17 },
        { kind: "rule", key: "s", number: 18 },
      ],
      complete: true,
    });
    file.putAttachment(attachment);
  }
  {
    using file = StateFile.open(path, never);
    assert.equal(file.complete, true);
    assert.deepEqual(file.attachments(), [attachment]);
    file.write({
      ...nothing,
      delta: { upserts: [{ ...group, identities: [] }], deletes: [{ kind: "domain", id: "d" }] },
      numbers: [{ kind: "rule", key: "s", number: undefined }],
    });
    file.deleteAttachment("iso1");
  }
  using file = StateFile.open(path, never);
  const changed = { ...group, identities: [] };
  assert.deepEqual(file.resources(), [{ resource: changed, digest: digestOf(changed) }]);
  assert.deepEqual(file.numbers(), [{ kind: "rule", key: "r", number: 17 }]);
  assert.deepEqual(file.attachments(), []);
  file.replace({ ...nothing, delta: { upserts: [domain], deletes: [] } });
  assert.deepEqual(
    file.resources().map(({ resource }) => resource),
    [domain],
  );
  assert.deepEqual(file.numbers(), []);
  assert.equal(file.complete, true);
});

test("a write that fails half-way leaves nothing of itself", (t) => {
  const path = pathFor(t);
  using file = StateFile.open(path, never);
  const bad = { kind: "rule", key: "r", number: Number.NaN } as const;
  assert.throws(() => {
    file.write({ ...nothing, delta: { upserts: [group], deletes: [] }, numbers: [bad] });
  });
  assert.deepEqual(file.resources(), []);
  file.write({ ...nothing, delta: { upserts: [group], deletes: [] } });
  assert.equal(file.resources().length, 1);
});

test("only one process has the file", (t) => {
  const path = pathFor(t);
  using file = StateFile.open(path, never);
  file.write({ ...nothing, complete: true });
  assert.throws(() => StateFile.open(path, never), /in use: is another agent running/);
});

test("a file that cannot be read is set aside, whatever is wrong with it", (t) => {
  const faults: ((path: string) => void)[] = [
    (path) =>
      writeFileSync(
        path,
        "this is no database, though it is long enough to look like one".repeat(99),
      ),
    (path) => writeFileSync(path, readFileSync(path).fill(0x55, 100, 4096)),
    (path) => change(path, "PRAGMA user_version = 77"),
    (path) => change(path, "UPDATE resource SET json = '{' WHERE kind = 'group'"),
    (path) => change(path, `UPDATE resource SET json = '{"kind":"group"}'`),
    (path) => change(path, "UPDATE number SET kind = 'unheard-of'"),
    (path) => change(path, "DROP TABLE attachment"),
  ];
  for (const [index, spoil] of faults.entries()) {
    const path = `${pathFor(t)}${index}`;
    {
      using file = StateFile.open(path, never);
      const numbers = [{ kind: "rule", key: "r", number: 17 }] as const;
      file.write({ delta: { upserts: [group], deletes: [] }, numbers, complete: true });
    }
    spoil(path);
    let keptAs = "";
    using file = StateFile.open(path, (_, kept) => (keptAs = kept));
    assert.ok(existsSync(keptAs), `fault ${index}`);
    assert.equal(file.complete, false);
    assert.deepEqual(file.resources(), []);
  }
});

function change(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}
