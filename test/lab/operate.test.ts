// What an operator asks: is it in force, what was dropped, and what to send to those who help.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ApiClient } from "../../src/client/api-client.ts";
import { loadKubeconfig } from "../../src/client/kubeconfig.ts";
import { secretKind } from "../../src/kinds/secret.ts";
import { labPaths } from "../../src/lab/paths.ts";
import { LabGuard, isobar, outputOf } from "./command.ts";
import { until } from "./harness.ts";

const lab = `o${process.pid}`;
const stack = new AsyncDisposableStack();
stack.use(new LabGuard([lab]));
const folder = mkdtempSync(join(tmpdir(), "isobar-operate-"));
after(async () => {
  await stack.disposeAsync();
  rmSync(folder, { recursive: true, force: true });
});

before(async () => {
  const shop = join(import.meta.dirname, "../../examples/shop");
  await outputOf("lab", "up", "--lab", lab, "--nodes", "2", "-f", shop);
});

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly message: string;
}

function findingsIn(stdout: string): Finding[] {
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

async function check(): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, stdout } = await isobar("check", "lab", "--lab", lab, "--output", "json");
  return { code, findings: findingsIn(stdout) };
}

test("a lab that is up passes its check, and one whose agent is stopped does not", async () => {
  const { code, findings } = await check();
  assert.deepEqual(
    findings.filter(({ level }) => level !== "ok"),
    [],
  );
  assert.equal(code, 0);
  assert.deepEqual(
    findings.map((finding) => finding.check),
    ["api-server", "pools", "processes", "agents", "in-force", "addresses", "pods"],
  );
  const status = JSON.parse(await outputOf("lab", "status", "--lab", lab, "--output", "json"));
  const { pid } = status.processes.find(({ name }: { name: string }) => name === "agent-node-1");
  process.kill(pid, "SIGSTOP");
  try {
    await until("the check to fail", async () => (await check()).code === 1);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await until("the check to pass", async () => (await check()).code === 0);
});

test("a support bundle of the lab has its flows, logs and objects, and no secrets", async () => {
  const client = new ApiClient(loadKubeconfig(labPaths(lab).kubeconfig));
  await client.create(secretKind, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: "shop", name: "card-key" },
    stringData: { key: "very-secret-value" },
  });
  await client.close();
  const ends = ["--from", "shop/cart", "--to", "shop/web", "--output", "json"];
  assert.match((await isobar("lab", "probe", "--lab", lab, ...ends)).stdout, /"verdict":"denied"/);
  const file = join(folder, "bundle.tar.gz");
  await outputOf("support-bundle", "lab", "--lab", lab, "--file", file);
  execFileSync("tar", ["-C", folder, "--strip-components=1", "-xzf", file]);
  const read = (path: string): string => readFileSync(join(folder, path), "utf8");
  const { missing } = JSON.parse(read("manifest.json"));
  assert.deepEqual(missing, []);
  assert.match(read("nodes/node-1/flows.txt"), /table=/);
  assert.match(read("nodes/node-1/ovsdb.txt"), /br-int/);
  assert.ok(JSON.parse(read("nodes/node-1/conntrack.json")).all >= 0);
  assert.match(read("nodes/node-2/addresses.txt"), /isobar-gw/);
  assert.match(read("objects/networkpolicies.networking.k8s.io.yaml"), /kind: NetworkPolicy/);
  assert.match(read("logs/agent-node-1.log"), /"name":"agent"/);
  const metrics = ["node-1", "node-2"].map((node) => read(`nodes/${node}/metrics.txt`)).join("\n");
  const dropped = [
    ...metrics.matchAll(
      /^isobar_agent_dropped_packets_total\{reason="(?:in|e)gress-isolation"\} (\d+)/gm,
    ),
  ];
  assert.equal(dropped.length, 4);
  assert.ok(
    dropped.some(([, count]) => Number(count) > 0),
    metrics,
  );
  assert.match(metrics, /^isobar_agent_controller_connected 1$/m);
  assert.match(metrics, /^isobar_agent_connections \d+$/m);
  assert.match(metrics, /^isobar_agent_connections_limit [1-9]\d+$/m);
  const all = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".gz"))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
  assert.ok(all.length > 30, `${all.length} files`);
  const secret = Buffer.from("very-secret-value").toString("base64");
  assert.ok(!all.some((text) => text.includes("very-secret-value") || text.includes(secret)));
});

test("the checks of a node print the same in every form, and end with 0 where nothing is wrong", async () => {
  const { code, stdout } = await isobar("check", "node", "--output", "json");
  const findings = findingsIn(stdout);
  const failed = findings.some(({ level }) => level === "error" || level === "unknown");
  assert.equal(code, failed ? 1 : 0, stdout);
  const table = await isobar("check", "node");
  for (const { check: name } of findings) assert.ok(table.stdout.includes(name), name);
});
