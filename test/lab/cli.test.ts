// What a user does: the command itself, and an unmodified kubectl beside it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { findKubectls } from "../kubectl/installed.ts";
import { recordedProcesses } from "../../src/lab/network/processes.ts";
import { labPaths } from "../../src/lab/paths.ts";
import {
  type Finished,
  LabGuard,
  fixture,
  isobar,
  outputOf,
  remains,
  start,
  startIsobar,
} from "./command.ts";
import { until } from "./harness.ts";

const [lab, other, crashed] = [`a${process.pid}`, `b${process.pid}`, `c${process.pid}`] as const;
const stack = new AsyncDisposableStack();
stack.use(new LabGuard([lab, other, crashed]));
after(async () => await stack.disposeAsync());

function assertFails({ code, stdout, stderr }: Finished, expected: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr, expected);
  assert.equal(stdout, "");
  // A sentence, not a stack.
  assert.doesNotMatch(stderr, /^\s+at /m);
}

test("the demo agrees with the evaluator and leaves nothing behind", async () => {
  const { code, stdout, stderr } = await isobar("demo", "--once", "--lab", other);
  assert.equal(code, 0, stdout + stderr);
  for (const title of ["before the policies", "with the policies", "why some were denied"]) {
    assert.match(stdout, new RegExp(`== ${title}`));
  }
  assert.equal(stdout.match(/every one as the evaluator says/g)?.length, 2);
  assert.deepEqual(remains(other), []);
});

describe("without a lab", () => {
  const commands = [
    ["lab", "status"],
    ["lab", "kubeconfig"],
    ["lab", "probe"],
    ["lab", "exec", "shop/web", "--", "true"],
    ["explain", "shop/web", "shop/db", "tcp/5432"],
  ];
  for (const [first = "", ...rest] of commands) {
    test(`${first} ${rest.join(" ")} says how to have one`, async () => {
      const finished = await isobar(first, ...insertLab(rest, other));
      assertFails(finished, new RegExp(`lab "${other}" is not up; .*lab up --lab ${other}`));
    });
  }

  test("a bad manifest is refused with its file and the reason before anything is made", async () => {
    const file = fixture("bad-cidr.yaml");
    const up = await isobar("lab", "up", "--lab", other, "-f", file);
    assertFails(
      up,
      /bad-cidr.yaml: .*"office" is invalid: spec.ingress\[0\].from\[0\].ipBlock.cidr/,
    );
    assertFails(
      await isobar("lab", "up", "--lab", other, "-f", "nowhere"),
      /no file or folder nowhere/,
    );
    assert.deepEqual(remains(other), []);
  });

  test("there is nothing to take down, which is no failure", async () => {
    const { code, stderr } = await isobar("lab", "down", "--lab", other);
    assert.equal(code, 0);
    assert.match(stderr, /there is no lab/);
  });
});

/** Before `--` and behind what the command is called. */
function insertLab(args: readonly string[], name: string): string[] {
  const at = args.includes("--") ? args.indexOf("--") : args.length;
  return [...args.slice(0, at), "--lab", name, ...args.slice(at)];
}

describe("Ctrl-C during lab up leaves nothing", () => {
  const moments = [
    /building 3 nodes/,
    /starting the API server/,
    /waiting for the agents/,
    /applying 9 objects/,
    /waiting until all pods run/,
  ];
  for (const moment of moments) {
    test(`at "${moment.source}"`, async () => {
      const file = fixture("small-shop.yaml");
      const { child, finished, said } = startIsobar("lab", "up", "--lab", other, "-f", file);
      await said(moment);
      // The terminal signals the whole group.
      process.kill(-(child.pid ?? 0), "SIGINT");
      const { code, stderr } = await finished;
      assert.equal(code, 130, stderr);
      assert.match(stderr, /interrupted: tearing down what was begun/);
      assert.deepEqual(remains(other), []);
    });
  }
});

test("after its daemon was killed a lab is found to be down, and lab up makes a new one and says so", async () => {
  await outputOf("lab", "up", "--lab", crashed, "--nodes", "1");
  const [daemon] = daemonsOf(crashed);
  assert.ok(daemon !== undefined);
  process.kill(daemon, "SIGKILL");
  await until("an end of the daemon", () => daemonsOf(crashed).length === 0);
  assertFails(await isobar("lab", "status", "--lab", crashed), /is not up/);
  const { code, stderr } = await isobar("lab", "up", "--lab", crashed, "--nodes", "1");
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /cleaned up after an earlier lab of this name: \d+ processes .*ovs-vswitchd/,
  );
  await outputOf("lab", "down", "--lab", crashed);
  assert.deepEqual(remains(crashed), []);
});

/** Process ids of the lab's daemon. */
function daemonsOf(name: string): number[] {
  return recordedProcesses(labPaths(name).directory)
    .map(({ pid }) => pid)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("src/main/lab.ts"));
}

describe("with a lab", () => {
  const shop = fixture("small-shop.yaml");
  let kubeconfig = "";

  before(async () => {
    await outputOf("lab", "up", "--lab", lab, "-f", shop);
    kubeconfig = (await outputOf("lab", "kubeconfig", "--lab", lab)).trim();
  });

  /** An unmodified kubectl. @throws {Error} when it fails */
  async function kubectl(line: string): Promise<string> {
    const path = findKubectls().at(-1)?.path ?? "kubectl";
    const run = start([path, ...line.split(" ")], { KUBECONFIG: kubeconfig });
    const { code, stdout, stderr } = await run.finished;
    assert.equal(code, 0, `${line}: ${stderr}`);
    return stdout;
  }

  interface Probe {
    readonly from: string;
    readonly to: string;
    readonly port: string;
    readonly verdict: string;
    readonly milliseconds: number;
  }

  async function probe(from: string, to: string, port: string): Promise<Probe[]> {
    const ends = ["--from", from, "--to", to, "--port", port];
    const lines = await outputOf("lab", "probe", "--lab", lab, ...ends, "-o", "json");
    return lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  /** Waits until all connections come to that. */
  async function becomes(verdict: string, from: string, to: string, port: string): Promise<void> {
    await until(`${from} -> ${to} ${port} ${verdict}`, async () => {
      const results = await probe(from, to, port);
      return results.every((one) => one.verdict === verdict);
    });
  }

  test("lab up again adds to it and changes nothing that is there", async () => {
    const { code, stdout, stderr } = await isobar("lab", "up", "--lab", lab, "-f", shop);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /is up already, with 3 nodes/);
    assert.match(stderr, /\b9 unchanged/);
    assert.match(stdout, new RegExp(`lab kubeconfig --lab ${lab}`));
  });

  test("another one is built beside it and taken down without touching it", async () => {
    await outputOf("lab", "up", "--lab", other, "--nodes", "1", "-f", shop);
    const text = await outputOf("lab", "status", "--lab", other, "-o", "json");
    const { pods, nodes }: { pods: unknown; nodes: readonly unknown[] } = JSON.parse(text);
    assert.deepEqual([pods, nodes.length], [{ Running: 5 }, 1]);
    await outputOf("lab", "down", "--lab", other);
    assert.deepEqual(remains(other), []);
    assert.equal((await probe("shop/web", "shop/api", "tcp/8080"))[0]?.verdict, "allowed");
  });

  test("status shows nodes, pods, hosts and processes, for people and for programs", async () => {
    const table = await outputOf("lab", "status", "--lab", lab);
    assert.match(table, /pods: 5 Running/);
    assert.match(table, /node-3 +172\.30\.0\.12 .*yes +yes/);
    assert.match(table, /bank +192\.0\.2\.10/);
    assert.match(table, /agent-node-1 +\d+ +0/);
    const json: unknown = JSON.parse(await outputOf("lab", "status", "--lab", lab, "-o", "json"));
    const yaml: unknown = parse(await outputOf("lab", "status", "--lab", lab, "-o", "yaml"));
    for (const status of [json, yaml]) {
      assert.deepEqual(Object.keys(Object(status)), Object.keys(Object(json)));
      assert.deepEqual(Object(status).pods, { Running: 5 });
    }
  });

  test("exec runs in the pod's network and hands over what came of it", async () => {
    const exec = async (pod: string, ...command: string[]): Promise<Finished> =>
      await isobar("lab", "exec", "--lab", lab, pod, "--", ...command);
    const address = await kubectl("get pod -n shop api -o jsonpath={.status.podIP}");
    const { stdout } = await exec("shop/api", "ip", "-o", "-4", "address", "show", "dev", "eth0");
    assert.ok(stdout.includes(` ${address}/`), stdout);
    assert.equal((await exec("shop/web", "sh", "-c", "exit 7")).code, 7);
    assert.equal((await exec("bank", "true")).code, 0);
    const missing = await exec("shop/api", "no-such-command");
    assert.equal(missing.code, 127);
    assertFails(await exec("shop/none", "true"), /there is no pod.* shop\/none/);
  });

  test("programs in pods find Services by name, as a kubelet would have them do", async () => {
    await kubectl(`create -f ${fixture("dns.yaml")}`);
    const address = await kubectl(
      "get service -n kube-system kube-dns -o jsonpath={.spec.clusterIP}",
    );
    const find = async (name: string): Promise<string> => {
      const command = ["getent", "ahostsv4", name];
      const { stdout } = await isobar("lab", "exec", "--lab", lab, "shop/api", "--", ...command);
      return stdout;
    };
    for (const name of ["kube-dns.kube-system", "kube-dns.kube-system.svc.cluster.local"]) {
      await until(name, async () => (await find(name)).startsWith(`${address} `));
    }
    assert.equal(await find("kube-dns"), "");
  });

  test("probe opens real connections, for people and for programs", async () => {
    const web = await probe("shop/web", "shop/api", "tcp/8080");
    assert.equal(web.length, 2);
    for (const { from, to, port, verdict, milliseconds } of web) {
      assert.match(from, /^shop\/web-/);
      assert.deepEqual([to, port, verdict], ["shop/api", "tcp/8080", "allowed"]);
      assert.ok(milliseconds > 0);
    }
    const ends = ["--from", "shop/api", "--from", "ops", "--to", "shop/db"];
    const yaml = await outputOf(
      "lab",
      "probe",
      "--lab",
      lab,
      ...ends,
      "--family",
      "6",
      "-o",
      "yaml",
    );
    const verdicts = [parse(yaml)].flat().map(({ from, verdict }) => [from, verdict]);
    assert.deepEqual(verdicts, [
      ["shop/api", "allowed"],
      ["ops/admin", "denied"],
    ]);
    const table = await outputOf("lab", "probe", "--lab", lab, "--from", "ops", "--to", "bank");
    assert.match(table, /^FROM +TO +PORT +VERDICT/);
    assert.match(table, /ops\/admin +bank +tcp\/443 +allowed/);
    assert.match(table, /ops\/admin +bank +udp\/53 +allowed/);
    const refused = await probe("shop/db", "ops/admin", "udp/99");
    assert.equal(refused[0]?.verdict, "refused");
  });

  test("probe says what it cannot do", async () => {
    const fails = async (expected: RegExp, ...args: string[]): Promise<void> =>
      assertFails(await isobar("lab", "probe", "--lab", lab, ...args), expected);
    await fails(/there is no running pod or external host shop\/none/, "--from", "shop/none");
    await fails(/expected a port such as tcp\/80, got "80"/, "--port", "80");
    await fails(/expected a port such as tcp\/80, got "tcp\/70000"/, "--port", "tcp/70000");
    await fails(/nothing to probe/, "--to", "192.0.2.99");
  });

  test("explain names the rule, and the nearest one where there is none", async () => {
    const explain = async (...args: string[]): Promise<string> =>
      await outputOf("explain", "--lab", lab, ...args);
    const allowed = await explain("shop/web", "shop/api", "tcp/8080");
    assert.match(allowed, /^ALLOWED {2}shop\/web -> shop\/api tcp\/8080/);
    assert.match(allowed, /shop\/allow-web rule 1/);
    const denied = await explain("ops/admin", "shop/db", "tcp/5432");
    assert.match(denied, /^DENIED/);
    assert.match(denied, /isolated by shop\/allow-api and shop\/default-deny/);
    assert.match(denied, /nearest: shop\/allow-api rule [12] matches if .*database=admin/s);
    const json = JSON.parse(await explain("bank", "shop/db", "tcp/5432", "-o", "json"));
    assert.equal(json.verdict, "deny");
    const yaml = parse(await explain("ops/admin", "192.0.2.10", "icmp", "-o", "yaml"));
    assert.equal(yaml.verdict, "allow");
    const fails = async (expected: RegExp, ...args: string[]): Promise<void> =>
      assertFails(await isobar("explain", "--lab", lab, ...args), expected);
    await fails(/there is no pod shop\/none/, "shop/none", "shop/db", "tcp/80");
    await fails(/got "nothing"/, "nothing", "shop/db", "tcp/80");
    await fails(/expected a port such as tcp\/80.*got "80"/, "shop/api", "shop/db", "80");
  });

  test("with kubectl, labels of pods and namespaces open and close the way", async () => {
    await becomes("denied", "ops/admin", "shop/db", "tcp/5432");
    await kubectl("label namespace ops database=admin");
    await becomes("allowed", "ops/admin", "shop/db", "tcp/5432");
    await kubectl("label namespace ops database-");
    await becomes("denied", "ops/admin", "shop/db", "tcp/5432");
    await kubectl("label pod -n shop api app=retired --overwrite");
    await becomes("denied", "shop/api", "shop/db", "tcp/5432");
    await kubectl("label pod -n shop api app=api --overwrite");
    await becomes("allowed", "shop/api", "shop/db", "tcp/5432");
  });

  test("with kubectl, policies are deleted, made and changed", async () => {
    await kubectl("delete networkpolicy -n shop allow-api");
    await becomes("denied", "shop/api", "shop/db", "tcp/5432");
    await kubectl("delete networkpolicy -n shop default-deny");
    await becomes("allowed", "ops/admin", "shop/db", "tcp/5432");
    await kubectl(`apply -f ${shop}`);
    await becomes("denied", "ops/admin", "shop/db", "tcp/5432");
    await becomes("allowed", "shop/api", "shop/db", "tcp/5432");
    const patch = '[{"op":"replace","path":"/spec/ingress/0/ports/0/port","value":5433}]';
    await kubectl(`patch networkpolicy -n shop allow-api --type json -p ${patch}`);
    await becomes("denied", "shop/api", "shop/db", "tcp/5432");
    await kubectl(`apply -f ${shop}`);
    await becomes("allowed", "shop/api", "shop/db", "tcp/5432");
  });

  test("with kubectl, pods and namespaces go and come back under their policies", async () => {
    await kubectl("delete pod -n shop db");
    assertFails(
      await isobar("lab", "probe", "--lab", lab, "--to", "shop/db"),
      /no running pod or external host shop\/db/,
    );
    await kubectl("delete namespace ops");
    await outputOf("lab", "up", "--lab", lab, "-f", shop);
    assert.equal((await probe("shop/api", "shop/db", "tcp/5432"))[0]?.verdict, "allowed");
    assert.equal((await probe("ops/admin", "shop/db", "tcp/5432"))[0]?.verdict, "denied");
  });

  test("with kubectl, deployments are scaled and rolled", async () => {
    await kubectl("scale deployment -n shop web --replicas 4");
    await kubectl("rollout status deployment -n shop web --timeout 30s");
    const scaled = await probe("shop/web", "shop/api", "tcp/8080");
    assert.deepEqual(new Set(scaled.map(({ verdict }) => verdict)), new Set(["allowed"]));
    assert.equal(scaled.length, 4);
    await kubectl("set image deployment -n shop web web=web:2");
    await kubectl("rollout status deployment -n shop web --timeout 30s");
    await kubectl("scale deployment -n shop web --replicas 1");
    await until("one pod of the new kind", async () => {
      const pods = await kubectl("get pods -n shop -l app=web -o name");
      return pods.trim().split("\n").length === 1;
    });
    const [rolled, ...more] = await probe("shop/web", "shop/api", "tcp/8080");
    assert.equal(rolled?.verdict, "allowed");
    assert.ok(more.length === 0 && !scaled.some(({ from }) => from === rolled?.from));
  });

  test("lab down leaves nothing behind", async () => {
    await outputOf("lab", "down", "--lab", lab);
    assert.deepEqual(remains(lab), []);
  });
});
