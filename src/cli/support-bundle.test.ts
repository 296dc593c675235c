import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { summariseConntrack } from "./bundle-node.ts";
import { Bundle } from "./bundle.ts";
import { redact } from "./redact.ts";

const folder = mkdtempSync(join(tmpdir(), "isobar-bundle-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function unpack(archive: string): string {
  execFileSync("tar", ["-C", folder, "-xzf", archive]);
  return join(folder, "x");
}

test("a bundle has what could be read, says what could not, and stays within its size", async () => {
  const archive = join(folder, "x.tar.gz");
  {
    using bundle = new Bundle("x", 1_000);
    await bundle.add("a/one.txt", () => "one");
    await bundle.add("two.txt", async () => Promise.reject(new Error("not allowed")));
    writeFileSync(join(folder, "long.log"), `${"x".repeat(5_000)}end`);
    bundle.addFile("long.log", join(folder, "long.log"));
    bundle.addFile("none.log", join(folder, "none.log"));
    await bundle.add("late.txt", () => "late");
    await bundle.finish(archive, new Date(0));
  }
  assert.equal(statSync(archive).mode & 0o777, 0o600);
  const root = unpack(archive);
  assert.equal(readFileSync(join(root, "a/one.txt"), "utf8"), "one");
  // Its end: what happened last.
  const log = readFileSync(join(root, "long.log"), "utf8");
  assert.deepEqual([log.length, log.slice(-3)], [997, "end"]);
  const manifest = JSON.parse(readFileSync(join(root, "manifest.json"), "utf8"));
  assert.deepEqual(manifest.cut, ["long.log"]);
  const missing: { path: string; reason: string }[] = manifest.missing;
  assert.deepEqual(
    missing.map(({ path }) => path),
    ["two.txt", "none.log", "late.txt"],
  );
  assert.match(missing[0]!.reason, /not allowed/);
  assert.match(missing[2]!.reason, /max-size-mib/);
});

test("secrets are left out by their place, and the rest stays as it is", () => {
  const object = {
    kind: "Pod",
    metadata: {
      name: "web",
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "password", a: "b" },
      managedFields: [{ manager: "kubectl" }],
    },
    spec: {
      containers: [
        {
          name: "web",
          command: ["run", "--password=hunter2"],
          env: [{ name: "PASSWORD", value: "hunter2" }],
          ports: [{ containerPort: 80 }],
        },
      ],
    },
    data: { key: "aHVudGVyMg==" },
  };
  const text = JSON.stringify(redact(object));
  assert.doesNotMatch(text, /hunter2|aHVudGVy|"password"|managedFields/);
  for (const kept of ['"a":"b"', '"containerPort":80', '"PASSWORD"', '"key"']) {
    assert.ok(text.includes(kept), kept);
  }
});

test("connections are counted by protocol, zone and state, without who they are of", () => {
  const dump = [
    "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(src=10.0.0.2),zone=1,protoinfo=(state=ESTABLISHED)",
    "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=3,dport=2),reply=(src=10.0.0.2),zone=1,protoinfo=(state=ESTABLISHED)",
    "udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(src=10.0.0.2)",
    "",
  ].join("\n");
  assert.deepEqual(summariseConntrack(dump), {
    all: 3,
    "tcp, zone 1, ESTABLISHED": 2,
    "udp, zone 0": 1,
  });
});
