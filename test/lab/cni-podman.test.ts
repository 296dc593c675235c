// Containers of podman, whose CNI backend is libcni as in containerd and CRI-O, chained with the reference plugins portmap
// and bandwidth. A container is no pod here: its endpoint is one that was declared for it in a zone.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { buildCniExecutable } from "../../src/lab/cni-runtime.ts";
import { cleanup } from "../../src/lab/network/cleanup.ts";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import type { EndpointResource } from "../../src/southbound/resources.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { TestController } from "../agent/test-controller.ts";

const run = promisify(execFile);
const root = mkdtempSync(join(tmpdir(), "isobar-podman-"));
const lab = `p${process.pid}`;
const rootfs = join(root, "rootfs");
const stack = new AsyncDisposableStack();
let network: LabNetwork;
let node: LabNode;
let controller: TestController;
let agent: AgentProcess;

/** What the switch lets through to a container at most, in bits per second. */
const ingressRate = 8_000_000;
/** What may come at once, in bits. */
const ingressBurst = 800_000;
const bigSize = 2_000_000;

function endpoint(name: string, number: number): EndpointResource {
  return {
    kind: "endpoint",
    id: `edge/${name}`,
    domain: "default",
    node: "node0",
    addresses: [`10.9.0.${number}`],
    mac: `0a:00:00:00:09:${number}`,
    identity: name,
  };
}

/** Nothing of podman's own on this machine is touched. */
const places = [
  "--runtime=runc",
  "--storage-driver=vfs",
  `--root=${join(root, "storage")}`,
  `--runroot=${join(root, "run")}`,
];

async function podman(...args: string[]): Promise<string> {
  const argv = [`--net=${node.netns}`, "podman", ...places, ...args];
  const env = { ...process.env, CONTAINERS_CONF: join(root, "containers.conf") };
  const { stdout } = await run("nsenter", argv, { env, timeout: 60_000, maxBuffer: 1 << 26 });
  return stdout;
}

/** Options that a machine without systemd, SELinux and cgroups of its own understands. */
const runOptions = [
  "--security-opt=seccomp=unconfined",
  "--network=edge",
  "--ulimit=nofile=1024:1024",
  "--ulimit=nproc=1024:1024",
];

async function busybox(
  name: string,
  options: readonly string[],
  ...command: string[]
): Promise<string> {
  return await podman(
    "run",
    "--name",
    name,
    ...runOptions,
    ...options,
    "--rootfs",
    rootfs,
    "/bin/busybox",
    ...command,
  );
}

async function startIdle(name: string): Promise<void> {
  await busybox(name, ["--detach"], "sleep", "600");
}

/** Path of the container's network namespace. */
async function sandboxOf(name: string): Promise<string> {
  return (await podman("inspect", "--format={{.NetworkSettings.SandboxKey}}", name)).trim();
}

/** What a web server answers to somebody in the network namespace. */
async function get(netns: string, address: string, port: number, path = "/"): Promise<string> {
  const script = `exec 3<>/dev/tcp/${address}/${port} && printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
  const argv = [`--net=${netns}`, "timeout", path === "/" ? "2" : "30", "bash", "-c", script];
  const { stdout } = await run("nsenter", argv, { maxBuffer: 1 << 26 });
  return stdout;
}

before(async () => {
  const executable = await buildCniExecutable();
  network = await LabNetwork.create({ name: lab, nodes: ["node0"], root });
  stack.defer(async () => await network.destroy());
  node = network.nodes[0]!;
  for (const folder of ["agent", "net.d", "bin", "rootfs", "rootfs/bin", "rootfs/www"]) {
    mkdirSync(join(root, folder));
  }
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"));
  writeFileSync(join(rootfs, "www/index.html"), "hello from the container\n");
  writeFileSync(join(rootfs, "www/big"), "x".repeat(bigSize));
  copyFileSync(executable, join(root, "bin/isobar"));
  const socket = join(root, "controller.sock");
  controller = stack.use(await TestController.listen(socket));
  controller.change([
    { kind: "domain", id: "default", vni: 9, pools: ["10.9.0.0/16"] },
    { kind: "node", id: node.name, addresses: node.addresses },
    endpoint("web", 21),
    endpoint("client", 22),
    endpoint("stranger", 23),
    { kind: "group", id: "web", identities: ["web"], networks: [] },
    {
      kind: "group",
      id: "friends",
      identities: ["client"],
      networks: [{ cidr: "0.0.0.0/0", except: ["10.9.0.0/16"] }],
    },
    {
      kind: "rule",
      id: "web-80",
      direction: "ingress",
      tier: "networkpolicy",
      priority: 0,
      action: "allow",
      subjects: ["web"],
      peers: ["friends"],
      ports: [{ protocol: "TCP", from: 80, to: 80 }],
      policy: "NetworkPolicy/edge/web",
      ruleIndex: 0,
    },
    { kind: "posture", id: "web", ingress: ["NetworkPolicy/edge/web"], egress: [] },
    { kind: "posture", id: "client", ingress: [], egress: [] },
    { kind: "posture", id: "stranger", ingress: [], egress: [] },
  ]);
  agent = stack.use(
    new AgentProcess({
      node: node.name,
      folder: join(root, "agent"),
      controllers: [socket],
      ovsdb: node.databaseSocket,
      rundir: node.rundir,
      datapathType: node.datapathType,
      netns: node.netns,
      arguments: node.addresses.map((address) => `--underlay-address=${address}`),
    }),
  );
  await agent.start();
  const plugins = [
    { type: "isobar", socket: agent.socket, zone: "edge", attachTimeoutSeconds: 10 },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "bandwidth", ingressRate, ingressBurst },
  ];
  const conflist = { cniVersion: "1.0.0", name: "edge", plugins };
  writeFileSync(join(root, "net.d/10-edge.conflist"), JSON.stringify(conflist));
  writeFileSync(
    join(root, "containers.conf"),
    [
      "[network]",
      'network_backend = "cni"',
      `cni_plugin_dirs = ["${join(root, "bin")}", "/usr/lib/cni"]`,
      `network_config_dir = "${join(root, "net.d")}"`,
      "[engine]",
      'cgroup_manager = "cgroupfs"',
      'events_logger = "none"',
      `static_dir = "${join(root, "libpod")}"`,
      `tmp_dir = "${join(root, "tmp")}"`,
      `volume_path = "${join(root, "volumes")}"`,
      "[containers]",
      'log_driver = "none"',
    ].join("\n"),
  );
});

after(async () => {
  await podman("rm", "--force", "--time=0", "web", "client", "stranger").catch(() => undefined);
  await stack.disposeAsync();
  await cleanup(lab, root);
  rmSync(root, { recursive: true, force: true });
});

test("podman's containers get the endpoints that were declared under their names", async () => {
  await busybox("web", ["--detach", "--publish=8080:80"], "httpd", "-f", "-p", "80", "-h", "/www");
  const shown: unknown = JSON.parse(await podman("inspect", "web"));
  assert.ok(JSON.stringify(shown).includes('"IPAddress":"10.9.0.21"'), JSON.stringify(shown));
  const { endpoints } = await agent.status();
  assert.deepEqual(
    endpoints.map(({ id }) => id),
    ["edge/web"],
  );
});

test("policies hold between containers", async () => {
  await startIdle("client");
  await startIdle("stranger");
  assert.match(await get(await sandboxOf("client"), "10.9.0.21", 80), /hello from the container/);
  await assert.rejects(get(await sandboxOf("stranger"), "10.9.0.21", 80));
});

test("portmap brings the outside to a container, as far as its policies allow", async () => {
  const outside = network.externalHosts[0]?.netns ?? "";
  const address = node.addresses[0] ?? "";
  assert.match(await get(outside, address, 8080), /hello from the container/);
  controller.change([], [{ kind: "rule", id: "web-80" }]);
  await controller.confirmed();
  await assert.rejects(get(outside, address, 8080));
});

test("bandwidth slows down what a container receives", async () => {
  const outside = network.externalHosts[0];
  const serving = spawn(
    "nsenter",
    [`--net=${outside?.netns}`, "busybox", "httpd", "-f", "-p", "8088", "-h", join(rootfs, "www")],
    { stdio: "ignore" },
  );
  stack.defer(() => void serving.kill());
  const server = outside?.addresses[0] ?? "";
  const sandbox = await sandboxOf("client");
  for (let attempt = 1; ; attempt++) {
    if (await get(sandbox, server, 8088).then(Boolean, () => false)) break;
    assert.ok(attempt < 100, "the server did not start");
    await sleep(100);
  }
  const started = performance.now();
  const received = await get(sandbox, server, 8088, "/big");
  const seconds = (performance.now() - started) / 1000;
  assert.ok(received.length >= bigSize, String(received.length));
  const least = (bigSize * 8 - ingressBurst) / ingressRate;
  assert.ok(seconds >= least * 0.9, `${seconds} s, expected at least ${least}`);
});

test("removed containers are detached", async () => {
  await podman("rm", "--force", "--time=0", "web", "client", "stranger");
  assert.deepEqual((await agent.status()).endpoints, []);
  const { stdout } = await run("nsenter", [`--net=${node.netns}`, "cat", "/proc/self/net/dev"]);
  assert.doesNotMatch(stdout, /\biso[0-9a-f]{12}\b/);
});
