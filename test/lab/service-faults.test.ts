// What becomes of connections to a service when its endpoints, agents, controllers and nodes die, under load. Real packets.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { podKind } from "../../src/kinds/pod.ts";
import { runCommand } from "../../src/runtime/command.ts";
import { TestLab, until } from "./harness.ts";
import type { ClientReport } from "./service-client.ts";

const held = Number(process.env["ISOBAR_TEST_HELD"] ?? 200);
const perSecond = Number(process.env["ISOBAR_TEST_RATE"] ?? 100);
const vip = "10.96.0.40";
const port = 9000;
const servers = ["one", "two", "three", "four"] as const;
type Server = (typeof servers)[number];

/** No declared port, so that the lab puts no listener there. */
const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: client}
spec: {nodeName: node-1, containers: [{name: client, image: isobar.io/listener}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: hall}
spec:
  clusterIP: ${vip}
  selector: {app: hall}
  ports: [{port: 80, targetPort: ${port}}]
${servers
  .map(
    (name, index) => `---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: ${name}, labels: {app: hall}}
spec: {nodeName: node-${(index % 3) + 1}, containers: [{name: hall, image: isobar.io/listener}]}
`,
  )
  .join("")}`;

const stack = new AsyncDisposableStack();
let lab: TestLab;
const running = new Map<Server, ChildProcess>();
let client: ChildProcess;
let report: ClientReport = { answered: {}, failed: {}, held: {}, broken: {}, open: 0 };

/** Both ends are of one checkout, so little is checked. */
function isReport(value: unknown): value is ClientReport {
  return typeof value === "object" && value !== null && "answered" in value;
}

function run(pod: string, args: readonly string[]): ChildProcess {
  const netns = lab.podNetns(`shop/${pod}`);
  const child = spawn("nsenter", [`--net=${netns}`, process.execPath, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  stack.defer(async () => await end(child));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

function serve(name: Server): void {
  const script = `
    const { createServer } = require("node:net");
    createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => {});
      socket.write("${name}\\n");
    }).listen({ port: ${port}, host: "::", backlog: 4096 }, () => console.log("ready"));
  `;
  running.set(name, run(name, ["-e", script]));
}

before(async () => {
  lab = stack.use(await TestLab.start());
  await lab.apply(objects);
  await lab.settle();
  for (const name of servers) serve(name);
  for (const child of running.values()) if (child.stdout) await once(child.stdout, "data");
  const program = join(import.meta.dirname, "service-client.ts");
  client = run("client", [program, vip, "80", String(held), String(perSecond)]);
  let rest = "";
  client.stdout?.setEncoding("utf8");
  client.stdout?.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    const last = lines.at(-1);
    const told: unknown = last === undefined ? undefined : JSON.parse(last);
    if (isReport(told)) report = told;
  });
  await until("all held connections", () => sum(report.held) === held, 60_000);
});
after(async () => await stack.disposeAsync());

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** So many more connections are answered. */
async function answers(count: number): Promise<void> {
  const wanted = sum(report.answered) + count;
  await until(`${count} more answers`, () => sum(report.answered) >= wanted, 60_000);
}

/** Every connection that was begun so far is decided. */
async function decided(): Promise<ClientReport> {
  const begun = sum(report.answered) + sum(report.failed) + report.open;
  await until(
    "the end of what was begun",
    () => sum(report.answered) + sum(report.failed) >= begun,
    60_000,
  );
  return report;
}

async function label(pod: Server, app: string | null): Promise<void> {
  const body = { metadata: { labels: { app } } };
  const place = { namespace: "shop", name: pod };
  await lab.client.patch(podKind, place, { type: "merge-patch+json", body });
  await lab.settle();
}

/** Resets that the pod's own stack has sent: each is one connection that came to a living pod with a dead server. */
async function resetsOf(pod: Server): Promise<number> {
  const text = await runCommand([
    "nsenter",
    `--net=${lab.podNetns(`shop/${pod}`)}`,
    "cat",
    "/proc/net/snmp",
  ]);
  const [names = "", values = ""] = text.split("\n").filter((line) => line.startsWith("Tcp:"));
  const at = names.split(" ").indexOf("OutRsts");
  return Number(values.split(" ")[at]);
}

test("new connections are spread over all, and none fails", async () => {
  await answers(400);
  const { answered, failed } = await decided();
  assert.deepEqual(failed, {});
  assert.deepEqual(Object.keys(answered).toSorted(), [...servers].toSorted());
  const total = sum(answered);
  for (const name of servers) {
    const share = (answered[name] ?? 0) / total;
    // Of n fair choices among four each gets a quarter, ± sqrt(3/16n); six deviations miss once in 10^9.
    assert.ok(Math.abs(share - 0.25) < 6 * Math.sqrt(3 / (16 * total)), JSON.stringify(answered));
  }
});

test("agents and the controller die, and no connection notices", async () => {
  await lab.killAndRecover("agent-node-1", "agent-node-2", "agent-node-3");
  await lab.killAndRecover("controller");
  await answers(200);
  const { failed, broken } = await decided();
  assert.deepEqual({ failed, broken }, { failed: {}, broken: {} });
});

test("an endpoint that leaves gracefully costs no connection, and keeps those that it has", async () => {
  const earlier = report.answered["two"] ?? 0;
  const has = report.held["two"] ?? 0;
  await label("two", null);
  const { answered, failed, broken } = await decided();
  assert.ok((answered["two"] ?? 0) >= earlier);
  assert.deepEqual({ failed, broken }, { failed: {}, broken: {} });
  await answers(200);
  assert.equal((await decided()).answered["two"], answered["two"], "nothing new goes there");
  assert.equal(report.held["two"], has);
  await label("two", "hall");
  await until("answers of it again", () => (report.answered["two"] ?? 0) > (answered["two"] ?? 0));
});

test("an endpoint that dies fails the connections that it had and got, and no others", async (t) => {
  const earlier = await decided();
  assert.deepEqual(earlier.failed, {});
  const has = earlier.held["three"] ?? 0;
  const resets = await resetsOf("three");
  const child = running.get("three");
  assert.ok(child !== undefined);
  const diedMs = performance.now();
  await end(child);
  await until("a failure", () => sum(report.failed) > 0);
  await label("three", null);
  const failoverMs = performance.now() - diedMs;
  const failedThen = sum((await decided()).failed);
  await answers(300);
  const { failed, broken } = await decided();
  assert.equal(sum(failed), failedThen, "none fails once the change is in force");
  assert.deepEqual(broken, { three: has }, "of those that are held, its own end");
  const refused = (await resetsOf("three")) - resets;
  t.diagnostic(`${sum(failed)} failed in ${Math.round(failoverMs)} ms, ${refused} resets`);
  // Each of those that are held may have cost one more.
  assert.ok(sum(failed) <= refused, `${JSON.stringify(failed)} of ${refused} resets`);
  assert.ok(sum(failed) >= refused - has, `${JSON.stringify(failed)} of ${refused} resets`);
});

test("a node dies: what was there is lost, everything else goes on once its endpoints are gone", async (t) => {
  const earlier = await decided();
  const lost = "two";
  const has = earlier.held[lost] ?? 0;
  const diedMs = performance.now();
  const pid = lab.switchPidOf("node-2", "ovs-vswitchd");
  process.kill(pid, "SIGSTOP");
  stack.defer(() => void process.kill(pid, "SIGCONT"));
  // What a cluster's node controller does after its grace period.
  const body = { metadata: { labels: { app: null } } };
  const place = { namespace: "shop", name: lost };
  await lab.client.patch(podKind, place, { type: "merge-patch+json", body });
  await until("a hundred answers", () => sum(report.answered) > sum(earlier.answered) + 100);
  t.diagnostic(`answers go on after ${Math.round(performance.now() - diedMs)} ms`);
  // The client reports now and then: what was answered before is counted by now.
  const answeredBefore = (await decided()).answered[lost];
  await answers(200);
  const { failed, broken, answered } = await decided();
  assert.equal(answered[lost], answeredBefore);
  const others = Object.keys(broken).filter((name) => name !== "three" && name !== lost);
  assert.deepEqual(others, [], "held connections to others go on");
  assert.ok((broken[lost] ?? 0) <= has);
  t.diagnostic(`${sum(failed) - sum(earlier.failed)} new connections failed`);
});
