// The chart on a real API server: its objects are taken, its roles are enough, and a token that is bound to a pod lets in
// the agent of that pod's node alone. No node runs here: pods are objects, and the controller is started by hand with the
// service account that the chart makes.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse as parseYaml } from "yaml";
import { runCommand } from "../../src/runtime/command.ts";
import { chart, namespace, render } from "../chart/render.ts";
import { Cluster } from "./cluster.ts";
import { until } from "./until.ts";

const helloProgram = join(import.meta.dirname, "say-hello.ts");
const controllerProgram = join(import.meta.dirname, "../../src/main/controller.ts");
const cliProgram = join(import.meta.dirname, "../../src/main/cli.ts");
const node = ["node", "--disable-warning=ExperimentalWarning"] as const;

let cluster: Cluster;
let folder: string;
let controller: ChildProcess | undefined;
let controllerLog = "";

before(async () => {
  cluster = await Cluster.start("install", []);
  folder = join(cluster.network.directory, "install");
  mkdirSync(folder);
});

after(async () => {
  controller?.kill("SIGKILL");
  await cluster?.[Symbol.asyncDispose]();
});

test("the API server takes every object of the chart", async () => {
  const crds = readdirSync(join(chart, "crds")).map((file) =>
    parseYaml(readFileSync(join(chart, "crds", file), "utf8")),
  );
  await cluster.kubectl.apply(...crds);
  await cluster.kubectl.run("wait", "--for=condition=Established", "crd", "--all");
  await cluster.kubectl.run("create", "namespace", namespace);
  for (const settings of [["uninstall=true"], ["openvswitch.privileged=true"], []]) {
    await cluster.kubectl.apply(...render(settings));
  }
  const pools = await cluster.kubectl.get("{.spec.pools[*]}", "domain", "default");
  assert.equal(pools, "10.128.0.0/14");
});

test("the controller's roles are enough for all that it does at its start, and for no more", async () => {
  const token = join(folder, "controller-token");
  const made = await cluster.kubectl.run(...tokenOf("isobar-controller"));
  writeFileSync(token, made, { mode: 0o600 });
  const kubeconfig = join(folder, "controller.kubeconfig");
  writeFileSync(kubeconfig, cluster.plane.tokenKubeconfig(token), { mode: 0o600 });
  controller = startController(kubeconfig);
  const published = (): Promise<string> =>
    cluster.kubectl.get("{.data.addresses}", "configmap", "isobar-controllers", `-n=${namespace}`);
  await until(
    "the controllers' addresses",
    async () => (await published()) === "127.0.0.1:10720\n",
  );
  assert.doesNotMatch(controllerLog, /forbidden|cannot (list|watch|get|create)/i);
  const as = `--as=system:serviceaccount:${namespace}:isobar-controller`;
  const may = async (...question: string[]): Promise<string> =>
    (await cluster.kubectl.run("auth", "can-i", ...question, as).catch(() => "no")).trim();
  assert.equal(await may("get", "secrets", `--namespace=${namespace}`), "no");
  assert.equal(await may("get", "secret/isobar-authority", `--namespace=${namespace}`), "yes");
  assert.equal(await may("get", "secrets", "--namespace=default"), "no");
  assert.equal(await may("create", "pods"), "no");
});

test("a token opens the controller to the agent of its pod's node, and to no other", async () => {
  for (const name of ["node-1", "node-2"]) {
    const object = { apiVersion: "v1", kind: "Node", metadata: { name } };
    const spec = { containers: [{ name: "agent", image: "isobar" }], nodeName: name };
    const pod = { serviceAccountName: "isobar-agent", hostNetwork: true, ...spec };
    const metadata = { namespace, name: `agent-on-${name}` };
    await cluster.kubectl.apply(object, { apiVersion: "v1", kind: "Pod", metadata, spec: pod });
  }
  const own = await boundToken("agent-on-node-1", "isobar-controller");
  assert.equal(await sayHello("node-1", own), "served");
  assert.match(await sayHello("node-2", own), /the token is for node "node-1"/);
  const other = await boundToken("agent-on-node-1", "something-else");
  assert.match(await sayHello("node-1", other), /does not accept the token/);
  const unbound = await cluster.kubectl.run(
    ...tokenOf("isobar-agent"),
    "--audience=isobar-controller",
  );
  assert.match(await sayHello("node-1", unbound), /not bound to a pod/);
  const pod = ["pod", "agent-on-node-1", `--namespace=${namespace}`];
  await cluster.kubectl.run("delete", ...pod, "--grace-period=0", "--force");
  // The API server remembers for some seconds that it took the token.
  const refused = async (): Promise<boolean> =>
    (await sayHello("node-1", own)).includes("does not accept the token");
  await until("the end of the token of a pod that is gone", refused);
});

test("a check of the cluster tells what is there from what is not", async () => {
  const ways = ["--kubeconfig", cluster.plane.kubeconfig];
  const { code, stdout } = await isobar("check", ...ways, "--output", "json");
  const findings: { check: string; level: string }[] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const levels = Object.fromEntries(findings.map(({ check, level }) => [check, level]));
  assert.equal(code, 1);
  for (const check of ["api-server", "rights", "other-plugins", "pools", "addresses"]) {
    assert.equal(levels[check], "ok", `${check}: ${stdout}`);
  }
  // No kubelet runs the pods of the chart here.
  assert.deepEqual([levels["controller"], levels["agents"]], ["error", "error"]);
  const early = await isobar("check", "--before", ...ways, "--output", "json");
  assert.equal(early.code, 0, early.stdout);
  const archive = join(folder, "bundle.tar.gz");
  assert.equal((await isobar("support-bundle", ...ways, "--file", archive)).code, 0);
  const listed = await runCommand(["tar", "-tzf", archive]);
  for (const file of ["manifest.json", "check.json", "objects/nodes.yaml"]) {
    assert.ok(listed.includes(`/${file}\n`), file);
  }
  assert.ok(!listed.includes("secrets"), listed);
});

/** The command line, where the API server can be reached. */
async function isobar(...words: string[]): Promise<{ code: number | null; stdout: string }> {
  const [program, ...args] = inside(...node, cliProgram, ...words);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  await once(child, "close");
  return { code: child.exitCode, stdout };
}

function tokenOf(account: string): string[] {
  return ["create", "token", account, `--namespace=${namespace}`];
}

async function boundToken(pod: string, audience: string): Promise<string> {
  return await cluster.kubectl.run(
    ...tokenOf("isobar-agent"),
    `--audience=${audience}`,
    "--bound-object-kind=Pod",
    `--bound-object-name=${pod}`,
  );
}

/** Where the control plane is, so that nothing of it is reached from elsewhere. */
function inside(...command: string[]): [string, ...string[]] {
  return [
    "nsenter",
    `--net=${cluster.plane.netns}`,
    "--",
    "setpriv",
    "--pdeathsig",
    "KILL",
    ...command,
  ];
}

function startController(kubeconfig: string): ChildProcess {
  const flags = [
    "--kubeconfig",
    kubeconfig,
    "--namespace",
    namespace,
    "--listen",
    "127.0.0.1:10720",
  ];
  const [program, ...args] = inside(...node, controllerProgram, ...flags);
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.on("data", (chunk: Buffer) => (controllerLog += chunk.toString()));
  return child;
}

/** The agent's link to controllers, in a process of its own. */
async function sayHello(name: string, token: string): Promise<string> {
  const directory = join(folder, "published");
  mkdirSync(directory, { recursive: true });
  for (const key of ["addresses", "ca\\.crt"]) {
    const args = ["configmap", "isobar-controllers", `--namespace=${namespace}`];
    const text = await cluster.kubectl.get(`{.data.${key}}`, ...args);
    writeFileSync(join(directory, key.replace("\\", "")), text);
  }
  writeFileSync(join(directory, "token"), token);
  const [program, ...args] = inside(...node, helloProgram, name, directory);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let answer = "";
  child.stdout.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  await once(child, "close");
  return answer.trim();
}
