// The CNI executable by itself, with something else on the agent's socket.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type Server, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { buildCniExecutable } from "../src/lab/cni-runtime.ts";
import { type CniRun, invokeCni } from "./cni/invoke.ts";

const folder = mkdtempSync(join(tmpdir(), "isobar-cni-"));
const socket = join(folder, "run", "agent.sock");
const pending = `${socket}.pending`;
let executable = "";

async function run(
  environment: Record<string, string>,
  input: string | object = {},
): Promise<CniRun> {
  const json = typeof input === "string" ? input : JSON.stringify({ socket, ...input });
  return await invokeCni(executable, environment, json);
}

/** Parsed, and only the members of interest. */
function errorOf(result: CniRun): {
  cniVersion: string;
  code: number;
  msg: string;
  details: string;
} {
  assert.equal(result.code, 1, result.output);
  return JSON.parse(result.output);
}

/** Answers every request with `answer`, as it is; `undefined` closes the connection instead. */
async function agent(answer: (request: string) => string | undefined): Promise<AsyncDisposable> {
  mkdirSync(join(folder, "run"), { recursive: true });
  const server: Server = createServer((peer) => {
    let received = "";
    peer.setEncoding("utf8").on("data", (chunk: string) => {
      received += chunk;
      if (!received.endsWith("\n")) return;
      const reply = answer(received);
      if (reply === undefined) peer.destroy();
      else peer.write(reply);
    });
    peer.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    [Symbol.asyncDispose]: async () =>
      await new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

const del = { CNI_COMMAND: "DEL", CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0" };

before(async () => {
  executable = await buildCniExecutable();
});

after(() => rmSync(folder, { recursive: true, force: true }));

test("VERSION is answered without an agent", async () => {
  const supportedVersions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
  for (const [asked, cniVersion] of [
    ["0.4.0", "0.4.0"],
    ["7.0.0", "1.1.0"],
    [undefined, "1.1.0"],
  ]) {
    const { code, output } = await run({ CNI_COMMAND: "VERSION" }, { cniVersion: asked });
    assert.deepEqual(JSON.parse(output), { cniVersion, supportedVersions });
    assert.equal(code, 0);
  }
  assert.equal((await run({ CNI_COMMAND: "VERSION" }, "not JSON")).code, 0);
});

test("VERSION does not wait for input that never comes", async () => {
  const child = spawn(executable, {
    env: { CNI_COMMAND: "VERSION" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  assert.match(await text(child.stdout), /supportedVersions/);
});

test("without an agent everything but DEL is to be tried again later", async () => {
  for (const [command, code] of [
    ["ADD", 11],
    ["CHECK", 11],
    ["GC", 11],
    ["STATUS", 50],
  ] as const) {
    const result = await run({ CNI_COMMAND: command }, { cniVersion: "1.0.0" });
    const error = errorOf(result);
    assert.equal(error.code, code);
    assert.equal(error.cniVersion, "1.0.0");
    assert.match(error.msg, /agent of this node does not answer/);
    assert.ok(error.details.startsWith(`${socket}: `), error.details);
  }
  assert.equal(existsSync(pending), false);
});

test("without an agent DEL succeeds and is noted", async () => {
  assert.deepEqual(await run(del, { cniVersion: "1.1.0" }), { code: 0, output: "" });
  assert.deepEqual(await run({ ...del, CNI_CONTAINERID: "c2" }), { code: 0, output: "" });
  const noted = readdirSync(pending)
    .toSorted()
    .map((name): unknown => JSON.parse(readFileSync(join(pending, name), "utf8")));
  assert.deepEqual(noted, [
    { type: "cni", environment: del, config: JSON.stringify({ socket, cniVersion: "1.1.0" }) },
    {
      type: "cni",
      environment: { ...del, CNI_CONTAINERID: "c2" },
      config: JSON.stringify({ socket }),
    },
  ]);
  rmSync(pending, { recursive: true });
  assert.equal(errorOf(await run({ CNI_COMMAND: "DEL", CNI_IFNAME: "eth0" })).code, 4);
  assert.equal(existsSync(pending), false);
});

test("a deletion that cannot be noted is not said to be done", async () => {
  writeFileSync(pending, "in the way");
  assert.equal(errorOf(await run(del)).code, 5);
  rmSync(pending);
});

test("environment and input arrive as they are, whatever is in them", async () => {
  let received: unknown;
  await using _ = await agent((request) => {
    received = JSON.parse(request);
    return '{"type":"cni","exitCode":0,"output":{"a":{"b":["}",{"c":"\\"]"}]},"d":-1.5e3}}\n';
  });
  const environment = { CNI_COMMAND: "ADD", CNI_ARGS: 'A="\\;B=\u0007ü', CNI_PATH: "" };
  const input = `{"x": {"socket": "/nowhere"}, "y": ["\\"socket\\"", {"z": 1}],\t"socket" :\n"${socket}"}\r\n`;
  const result = await run({ ...environment, PATH: "/bin", CNICAL: "no" }, input);
  assert.deepEqual(received, { type: "cni", environment, config: input });
  assert.equal(result.output, '{"a":{"b":["}",{"c":"\\"]"}]},"d":-1.5e3}\n');
  assert.equal(result.code, 0);
});

test("the agent's error is printed, and its silence is an error", async () => {
  await using _ = await agent((request) => {
    if (request.includes("silent")) return undefined;
    if (request.includes("strange")) return "{}\n";
    return '{"type":"cni","exitCode":1,"output":{"code":7}}\n';
  });
  assert.deepEqual(await run({ CNI_COMMAND: "ADD" }), { code: 1, output: '{"code":7}\n' });
  assert.equal(errorOf(await run({ CNI_COMMAND: "ADD" }, { x: "silent" })).code, 11);
  assert.equal(errorOf(await run({ CNI_COMMAND: "ADD" }, { x: "strange" })).code, 5);
  assert.equal((await run(del, { x: "silent" })).code, 0);
  assert.equal(readdirSync(pending).length, 1);
  rmSync(pending, { recursive: true });
});

test("a configuration of 1 MB is refused, and DEL succeeds all the same", async () => {
  let received = "";
  await using _ = await agent((request) => {
    received = request;
    return '{"type":"cni","exitCode":0}\n';
  });
  const long = { filling: "x".repeat(1024 * 1024) };
  const error = errorOf(await run({ CNI_COMMAND: "ADD" }, long));
  assert.equal(error.code, 7);
  assert.match(error.msg, /too long/);
  assert.equal(received, "");
  assert.deepEqual(await run(del, long), { code: 0, output: "" });
  assert.deepEqual(JSON.parse(received), { type: "cni", environment: del, config: "" });
  const limit = { filling: "\n".repeat(100_000) };
  assert.equal((await run({ CNI_COMMAND: "ADD" }, limit)).code, 0);
});

test("whatever comes as input, there is an answer", async () => {
  const inputs = [
    "",
    "{",
    '{"socket',
    '{"socket":',
    '{"socket":"',
    '{"a":[}',
    "\u0000",
    '"',
    "[[[",
    '{"\\',
  ];
  for (const input of inputs) {
    const { code, output } = await run({ CNI_COMMAND: "STATUS" }, input);
    assert.equal(code, 1, input);
    assert.equal(JSON.parse(output).code, 50, input);
  }
  const path = `/${"x".repeat(200)}`;
  assert.equal(errorOf(await run({ CNI_COMMAND: "STATUS" }, { socket: path })).code, 7);
  for (const environment of [{}, { CNI_COMMAND: "" }, { CNI_COMMAND: "add" }]) {
    const error = errorOf(await run(environment));
    assert.equal(error.code, 4);
    assert.match(error.msg, /CNI_COMMAND/);
  }
});
