// Agents without certificates: a real controller process over a real API server, and the agent's own link to it.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControllerAccess } from "../src/agent/config.ts";
import { ControllerDirectory } from "../src/agent/controller-directory.ts";
import { ControllerLink } from "../src/agent/controller-link.ts";
import type { TokenUser } from "../src/apiserver/authentication.ts";
import { configMapKind } from "../src/kinds/config-map.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { podKind } from "../src/kinds/pod.ts";
import { secretKind } from "../src/kinds/secret.ts";
import { makeAuthority } from "../src/runtime/certificates.ts";
import { createLog } from "../src/runtime/log.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import { startTestApi, type TestApi, testToken, writeTestKubeconfig } from "./api-harness.ts";

const namespace = "isobar-system";
const extraKey = (key: string): string => `authentication.kubernetes.io/${key}`;

function agentToken(token: string, node: string | undefined, uid = "uid-1"): TokenUser {
  return {
    token,
    name: `system:serviceaccount:${namespace}:isobar-agent`,
    groups: ["system:serviceaccounts"],
    audiences: ["isobar-controller"],
    extra: {
      [extraKey("pod-name")]: ["agent-1"],
      [extraKey("pod-uid")]: [uid],
      ...(node !== undefined && { [extraKey("node-name")]: [node] }),
    },
  };
}

const written = new DisposableStack();
let api: TestApi;
let folder: string;
let controller: ChildProcess;
let address: string;
let podUid: string;
const tokens: TokenUser[] = [
  { token: testToken, name: "tester", groups: ["system:masters"] },
  agentToken("node-1-token", "node-1"),
  { ...agentToken("other-account", "node-1"), name: "system:serviceaccount:shop:web" },
  { ...agentToken("other-audience", "node-1"), audiences: ["something-else"] },
  { ...agentToken("unbound", undefined), extra: {} },
];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "isobar-enrolment-"));
  // Which pod a token is bound to is known only when the pod is there; the server reads its tokens when it starts.
  const store = openMemoryStore();
  const first = await startTestApi({ store });
  const pod = await createAgentPod(first);
  podUid = pod;
  await first[Symbol.asyncDispose]();
  api = await startTestApi({
    store,
    tokens: [
      ...tokens,
      agentToken("pod-token", undefined, pod),
      agentToken("stale-pod", undefined),
    ],
  });
  const port = await freePort();
  address = `127.0.0.1:${port}`;
  controller = startController(address);
  await until(async () => (await published())["addresses"] === `${address}\n`);
});

after(async () => {
  controller.kill("SIGKILL");
  await api[Symbol.asyncDispose]();
  written.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test("an agent is served as the node that its token is bound to, and as no other", async () => {
  assert.equal(await hello({ node: "node-1", token: "node-1-token" }), "served");
  assert.match(
    await hello({ node: "node-2", token: "node-1-token" }),
    /the token is for node "node-1", the agent says it is "node-2"/,
  );
});

test("where the API server does not name the node, the token's pod does", async () => {
  assert.ok(podUid !== "");
  assert.equal(await hello({ node: "node-7", token: "pod-token" }), "served");
  assert.match(await hello({ node: "node-1", token: "pod-token" }), /is for node "node-7"/);
  assert.match(await hello({ node: "node-7", token: "stale-pod" }), /pod .*agent-1 is gone/);
});

test("a token of another account, for another audience, without a pod, or of nobody proves nothing", async () => {
  const expected = {
    "other-account": /expected a token of system:serviceaccount:isobar-system:isobar-agent/,
    "other-audience": /does not accept the token/,
    unbound: /not bound to a pod/,
    nobodys: /does not accept the token/,
  };
  for (const [token, reason] of Object.entries(expected)) {
    assert.match(await hello({ node: "node-1", token }), reason, token);
  }
  assert.match(await hello({ node: "node-1" }), /neither a certificate nor a token/);
});

test("an agent trusts no controller but those of the published authority", async () => {
  const { certificate } = await makeAuthority("isobar-controllers");
  const reason = await hello({ node: "node-1", token: "node-1-token", authority: certificate });
  assert.match(reason, /cannot connect to .*certificate/i);
});

test("a controller that is started again keeps the authority, and mends what is published", async () => {
  const earlier = await published();
  controller.kill("SIGKILL");
  await api.client.delete(configMapKind, { namespace, name: "isobar-controllers" });
  controller = startController(address);
  await until(async () => (await published())["addresses"] === `${address}\n`);
  assert.deepEqual(await published(), earlier);
  assert.equal(await hello({ node: "node-1", token: "node-1-token" }), "served");
  const secret = await api.client.get(secretKind, { namespace, name: "isobar-authority" });
  assert.deepEqual(Object.keys(secret.data ?? {}).toSorted(), ["ca.crt", "ca.key"]);
  assert.ok(!JSON.stringify(earlier).includes("PRIVATE KEY"));
});

test("an agent that reaches nobody asks where the controllers are now", async () => {
  const old = { ...(await published()), addresses: `127.0.0.1:${await freePort()}\n` };
  let asked = 0;
  const ask = async (): Promise<Readonly<Record<string, string>>> => {
    asked += 1;
    if (asked === 1) throw new Error("nobody is there yet");
    return await published();
  };
  const attempt = { node: "node-1", token: "node-1-token", published: old };
  assert.match(await hello(attempt), /ECONNREFUSED/);
  assert.equal(await hello({ ...attempt, ask, patient: true }), "served");
  const nothing = { ...attempt, published: {} };
  assert.match(await hello(nothing), /no controller's address is published yet/);
  asked = 0;
  assert.equal(await hello({ ...nothing, ask, patient: true }), "served");
  assert.equal(asked, 2);
});

interface Attempt {
  readonly node: string;
  readonly token?: string;
  readonly authority?: string;
  /** What the kubelet has mounted; what is published when absent. */
  readonly published?: Readonly<Record<string, string>>;
  readonly ask?: ControllerAccess["ask"];
  /** Goes on after a failure. */
  readonly patient?: boolean;
}

/** One agent that says hello; `served` when the controller has told it everything, else why not. */
async function hello(attempt: Attempt): Promise<string> {
  const { node, token, authority, ask, patient = false } = attempt;
  const directory = mkdtempSync(join(folder, "agent-"));
  const data = attempt.published ?? (await published());
  for (const [name, text] of Object.entries(data)) writeFileSync(join(directory, name), text);
  if (authority !== undefined) writeFileSync(join(directory, "ca.crt"), authority);
  const tokenFile = join(directory, "token");
  if (token !== undefined) writeFileSync(tokenFile, `${token}\n`);
  const { promise, resolve } = Promise.withResolvers<string>();
  const stopped = new AbortController();
  const log = createLog({
    name: "test",
    stream: {
      write: (line) => {
        const { reason } = JSON.parse(line);
        if (typeof reason === "string" && !patient) resolve(reason);
      },
    },
  });
  const proof = token === undefined ? {} : { tokenFile };
  const access = { controllers: [], directory, ...proof, ...(ask && { ask }) };
  const link = new ControllerLink({
    node,
    directory: new ControllerDirectory(access, log),
    log,
    have: () => ({}),
    onDelta: async () => {
      resolve("served");
      return [];
    },
  });
  const running = link.run(stopped.signal);
  const answer = await Promise.race([promise, sleep(20_000, "nothing was heard")]);
  stopped.abort();
  await running;
  return answer;
}

async function published(): Promise<Readonly<Record<string, string>>> {
  const found = await api.client.find(configMapKind, { namespace, name: "isobar-controllers" });
  return found?.data ?? {};
}

async function createAgentPod({ client }: TestApi): Promise<string> {
  await client.create(namespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  const pod = await client.create(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name: "agent-1" },
    spec: { nodeName: "node-7", hostNetwork: true, containers: [{ name: "agent", image: "x" }] },
  });
  return pod.metadata.uid ?? "";
}

function startController(listen: string): ChildProcess {
  const kubeconfig = written.use(writeTestKubeconfig(api.server.url));
  const main = join(import.meta.dirname, "../src/main/controller.ts");
  const flags = ["--kubeconfig", kubeconfig.path, "--listen", listen, "--namespace", namespace];
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...flags], {
    stdio: ["ignore", "ignore", process.env["ISOBAR_DEBUG"] ? "inherit" : "ignore"],
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(bound !== null && typeof bound === "object");
  return bound.port;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await condition()); waitedMs += 50) {
    assert.ok(waitedMs < 30_000, "it did not come about in 30 s");
    await sleep(50);
  }
}
