// What people do with kubectl, done with every kubectl found, from Debian 12's 1.20 on.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { deploymentKind } from "../src/kinds/deployment.ts";
import { startTestApi, type TestApi, writeTestKubeconfig } from "./api-harness.ts";
import { findKubectls, type InstalledKubectl } from "./kubectl/installed.ts";

const manifest = `
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
data:
  colour: red
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels: { app: web }
spec:
  containers:
    - name: web
      image: nginx
      ports: [{ containerPort: 80 }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-web
  namespace: shop
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }]
      ports: [{ port: 80, protocol: TCP }]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  namespace: shop
spec:
  replicas: 2
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec: { containers: [{ name: api, image: nginx }] }
`;

function serverSideManifest(value: string): string {
  return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"ssa","namespace":"shop"},"data":{"a":"${value}"}}`;
}

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One kubectl with a server of its own. */
class Kubectl implements AsyncDisposable {
  readonly minor: number;
  readonly #api: TestApi;
  readonly #path: string;
  readonly #directory = mkdtempSync(join(tmpdir(), "isobar-kubectl-"));
  readonly #kubeconfig: ReturnType<typeof writeTestKubeconfig>;

  constructor({ path, version }: InstalledKubectl, api: TestApi) {
    this.minor = Number(version.split(".")[1]);
    this.#path = path;
    this.#api = api;
    this.#kubeconfig = writeTestKubeconfig(api.server.url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api[Symbol.asyncDispose]();
    this.#kubeconfig[Symbol.dispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Arguments are separated by spaces; `...more` are taken as they are. */
  async run(command: string, ...more: string[]): Promise<Result> {
    return await this.runWith("", command, ...more);
  }

  async runWith(input: string, command: string, ...more: string[]): Promise<Result> {
    return await new Promise((resolve) => {
      const child = execFile(
        this.#path,
        [...command.split(" "), ...more],
        { env: this.environment, timeout: 30_000 },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
      );
      child.stdin?.end(input);
    });
  }

  /** Runs a command that must succeed, and returns what it prints. */
  async ok(command: string, ...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, ...more);
    assert.equal(code, 0, `kubectl ${command} ${more.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Runs a command that must fail, and returns what it complains. */
  async fails(command: string, ...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, ...more);
    assert.notEqual(code, 0, `kubectl ${command} ${more.join(" ")} printed ${stdout}`);
    return stderr;
  }

  async apply(text: string, ...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.runWith(text, "apply -f -", ...more);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** What a controller would do once the replicas run. */
  async setAvailable(namespace: string, name: string): Promise<void> {
    const { client } = this.#api;
    const deployment = await client.get(deploymentKind, { namespace, name });
    const conditions = [{ type: "Available", status: "True" }];
    await client.updateStatus(deploymentKind, { ...deployment, status: { conditions } });
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env["PATH"],
      HOME: this.#directory,
      KUBECONFIG: this.#kubeconfig.path,
      EDITOR: join(this.#directory, "editor"),
    };
  }

  /** Makes `kubectl edit` run a sed expression. */
  setEditor(expression: string): void {
    const path = join(this.#directory, "editor");
    writeFileSync(path, `#!/bin/sh\nexec sed -i '${expression}' "$1"\n`);
    chmodSync(path, 0o700);
  }

  /** Runs `get --watch` while `act` does something, and returns the lines until one matches. */
  async watch(command: string, until: RegExp, act: () => Promise<unknown>): Promise<string[]> {
    const child = spawn(this.#path, command.split(" "), {
      env: this.environment,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines: string[] = [];
    try {
      let acting: Promise<unknown> | undefined;
      for await (const line of createInterface(child.stdout)) {
        lines.push(line);
        acting ??= act();
        if (until.test(line)) break;
      }
      await acting;
    } finally {
      child.kill();
    }
    return lines;
  }
}

const row = (text: string, name: string): string[] =>
  (text.split("\n").find((line) => line.startsWith(`${name} `)) ?? "").trim().split(/ {2,}/);

for (const installed of findKubectls()) {
  describe(`kubectl ${installed.version}`, () => {
    let kubectl: Kubectl;
    before(async () => {
      kubectl = new Kubectl(installed, await startTestApi());
      assert.match(await kubectl.apply(manifest), /deployment.apps\/api created/);
    });
    after(() => kubectl[Symbol.asyncDispose]());

    test("get prints tables, wide ones, YAML, JSON and names", async () => {
      const pods = await kubectl.ok("get pods -n shop");
      assert.deepEqual(row(pods, "NAME"), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
      assert.deepEqual(row(pods, "web").slice(0, 4), ["web", "0/1", "Pending", "0"]);
      assert.match(await kubectl.ok("get pods -n shop -o wide"), /NODE +NOMINATED NODE/);
      assert.match(await kubectl.ok("get netpol -n shop"), /allow-web +app=web/);
      assert.match(
        await kubectl.ok("get cm settings -n shop -o yaml"),
        /^data:\n {2}colour: red$/m,
      );
      const pod = JSON.parse(await kubectl.ok("get pod web -n shop -o json"));
      assert.equal(pod.spec.containers[0].ports[0].protocol, "TCP", "defaults are filled in");
      assert.equal(await kubectl.ok("get ns shop -o name"), "namespace/shop\n");
      const path = "-o=jsonpath={.spec.podSelector.matchLabels.app}";
      assert.equal(await kubectl.ok("get netpol allow-web -n shop", path), "web");
    });

    test("get selects by label, by field and over all namespaces", async () => {
      const names = async (flags: string): Promise<string[]> =>
        (await kubectl.ok(`get pods -o name ${flags}`)).trim().split("\n");
      assert.deepEqual(await names("-n shop -l app=web"), ["pod/web"]);
      assert.deepEqual(await names("-n shop -l app!=web"), [""]);
      assert.deepEqual(await names("-A --field-selector metadata.name=web,status.phase=Pending"), [
        "pod/web",
      ]);
      assert.deepEqual(await names("-A --field-selector spec.nodeName=nowhere"), [""]);
      assert.match(await kubectl.ok("get cm -A"), /^shop +settings +1 /m);
      const complaint = await kubectl.fails("get pods -n shop --field-selector spec.colour=red");
      assert.match(complaint, /field label not supported: spec.colour/);
    });

    test("what is missing is not found", async () => {
      assert.equal(
        await kubectl.fails("get pod nothing -n shop"),
        'Error from server (NotFound): pods "nothing" not found\n',
      );
      assert.match(
        await kubectl.fails("get unicorns"),
        /the server doesn't have a resource type "unicorns"/,
      );
      assert.equal(
        (await kubectl.run("get pods -n nowhere")).stderr,
        "No resources found in nowhere namespace.\n",
      );
    });

    test("get --watch prints changes as they come", async () => {
      const lines = await kubectl.watch("get cm -n shop -w", /^watched +2/, async () => {
        await kubectl.ok("create cm watched -n shop --from-literal=a=1");
        await kubectl.ok("patch cm watched -n shop --type=merge", '--patch={"data":{"b":"2"}}');
      });
      assert.match(lines[0] ?? "", /^NAME +DATA +AGE/);
      assert.equal(lines.filter((line) => line.startsWith("watched ")).length, 2);
      await kubectl.ok("delete cm watched -n shop");
    });

    test("describe explains pods, policies and namespaces", async () => {
      assert.match(
        await kubectl.ok("describe netpol allow-web -n shop"),
        /CIDR: 10.0.0.0\/8\s+Except: 10.1.0.0\/16/,
      );
      assert.match(await kubectl.ok("describe pod web -n shop"), /Port: +80\/TCP/);
      assert.match(await kubectl.ok("describe ns shop"), /Status: +Active/);
      assert.match(await kubectl.ok("describe deploy api -n shop"), /Replicas: +2 desired/);
    });

    test("apply changes what differs and leaves the rest", async () => {
      assert.match(await kubectl.apply(manifest), /configmap\/settings unchanged/);
      await kubectl.ok("patch cm settings -n shop --type=merge", '--patch={"data":{"size":"big"}}');
      const changed = manifest.replace("colour: red", "shade: dark");
      const output = await kubectl.apply(changed);
      assert.match(output, /configmap\/settings configured/);
      assert.match(output, /networkpolicy.networking.k8s.io\/allow-web unchanged/);
      const { data } = JSON.parse(await kubectl.ok("get cm settings -n shop -o json"));
      assert.deepEqual(
        data,
        { shade: "dark", size: "big" },
        "what was applied is removed, what others set stays",
      );
      await kubectl.apply(manifest);
    });

    test("apply adds a port to a policy by strategic merge, keeping the others", async () => {
      const wider = manifest.replace(
        "ports: [{ port: 80, protocol: TCP }]",
        "ports: [{ port: 80, protocol: TCP }, { port: 443, protocol: TCP }]",
      );
      assert.match(await kubectl.apply(wider), /allow-web configured/);
      const path = "-o=jsonpath={.spec.ingress[0].ports[*].port}";
      assert.equal(await kubectl.ok("get netpol allow-web -n shop", path), "80 443");
      assert.match(await kubectl.apply(manifest), /allow-web configured/);
    });

    test("apply --server-side owns fields and refuses to take others'", async () => {
      const applied = await kubectl.apply(serverSideManifest("1"), "--server-side");
      assert.equal(applied, "configmap/ssa serverside-applied\n");
      await kubectl.ok("patch cm ssa -n shop --type=merge", '--patch={"data":{"a":"2"}}');
      const conflict = await kubectl.runWith(serverSideManifest("3"), "apply --server-side -f -");
      assert.notEqual(conflict.code, 0);
      assert.match(conflict.stderr, /conflict with "kubectl-patch".*\n?.*\.data\.a/);
      await kubectl.apply(serverSideManifest("3"), "--server-side", "--force-conflicts");
      assert.equal(await kubectl.ok("get cm ssa -n shop -o=jsonpath={.data.a}"), "3");
      await kubectl.ok("delete cm ssa -n shop");
    });

    test("a manifest with an unknown field or a wrong value is refused with the field's path", async () => {
      const typo = await kubectl.runWith(
        manifest.replace("podSelector:", "podSelectors:"),
        "apply -f -",
      );
      assert.notEqual(typo.code, 0);
      assert.match(typo.stderr, /unknown field.*podSelectors/);
      const wrong = await kubectl.runWith(
        manifest.replace("10.1.0.0/16", "11.1.0.0/16"),
        "apply -f -",
      );
      assert.match(
        wrong.stderr,
        /spec.ingress\[0\].from\[0\].ipBlock.except\[0\]: Invalid value: "11.1.0.0\/16"/,
      );
    });

    test("create makes objects of every sort, with --dry-run=server none", async () => {
      assert.match(await kubectl.ok("create ns made"), /namespace\/made created/);
      await kubectl.ok("create configmap made -n made --from-literal=a=b");
      await kubectl.ok("create secret generic made -n made --from-literal=a=b");
      await kubectl.ok("create serviceaccount made -n made");
      await kubectl.ok("create deployment made -n made --image=nginx");
      await kubectl.ok("create service clusterip made -n made --tcp=80:http");
      await kubectl.ok("run made -n made --image=nginx");
      assert.equal(await kubectl.ok("get secret made -n made -o=jsonpath={.data.a}"), "Yg==");
      assert.equal(
        await kubectl.ok("get svc made -n made -o=jsonpath={.spec.ports[0].targetPort}"),
        "http",
      );
      assert.match(
        await kubectl.fails("create configmap made -n made"),
        /configmaps "made" already exists\n$/,
      );
      assert.match(
        await kubectl.ok("create configmap tried -n made --dry-run=server"),
        /tried created \(server dry run\)/,
      );
      assert.match(await kubectl.fails("get cm tried -n made"), /not found/);
      assert.match(await kubectl.fails("create cm a -n nowhere"), /namespaces "nowhere" not found/);
      await kubectl.ok("delete ns made");
    });

    test("edit saves what the editor has written", async () => {
      kubectl.setEditor("s/colour: red/colour: blue/");
      assert.match(await kubectl.ok("edit cm settings -n shop"), /configmap\/settings edited/);
      assert.equal(await kubectl.ok("get cm settings -n shop -o=jsonpath={.data.colour}"), "blue");
      kubectl.setEditor("s/colour: blue/colour: red/");
      await kubectl.ok("edit cm settings -n shop");
    });

    test("patch knows JSON, merge and strategic merge patches", async () => {
      const image = "-o=jsonpath={.spec.template.spec.containers[*].image}";
      await kubectl.ok(
        "patch deploy api -n shop --type=json",
        '--patch=[{"op":"replace","path":"/spec/replicas","value":1}]',
      );
      await kubectl.ok("patch deploy api -n shop --type=merge", '--patch={"spec":{"paused":true}}');
      await kubectl.ok(
        "patch deploy api -n shop",
        '--patch={"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}',
      );
      assert.equal(await kubectl.ok("get deploy api -n shop", image), "busybox nginx");
      const { spec } = JSON.parse(await kubectl.ok("get deploy api -n shop -o json"));
      assert.deepEqual([spec.replicas, spec.paused], [1, true]);
    });

    test("label and annotate change metadata, and refuse to overwrite unasked", async () => {
      await kubectl.ok("label pod web -n shop tier=front");
      assert.match(await kubectl.ok("get pods -n shop -l tier=front -o name"), /pod\/web/);
      assert.match(await kubectl.fails("label pod web -n shop tier=back"), /already has a value/);
      await kubectl.ok("label pod web -n shop tier=back --overwrite");
      await kubectl.ok("label pod web -n shop tier-");
      await kubectl.ok("annotate pod web -n shop", "note=two words");
      assert.equal(
        await kubectl.ok("get pod web -n shop -o=jsonpath={.metadata.annotations.note}"),
        "two words",
      );
      assert.match(await kubectl.fails("label pod web -n shop", "a=-"), /Invalid|invalid/);
    });

    test("scale sets replicas", async () => {
      assert.match(await kubectl.ok("scale deploy api -n shop --replicas=4"), /scaled/);
      assert.equal(await kubectl.ok("get deploy api -n shop -o=jsonpath={.spec.replicas}"), "4");
      await kubectl.fails("scale deploy api -n shop --current-replicas=1 --replicas=2");
    });

    test("explain prints a kind's fields", async () => {
      const text = await kubectl.ok("explain netpol.spec.ingress.from.ipBlock");
      assert.match(text, /cidr\s+<string>/);
      assert.match(text, /except\s+<\[\]string>/);
      assert.match(await kubectl.ok("explain pods --recursive"), /containerPort\s+<integer>/);
      assert.match(
        await kubectl.fails("explain netpol.spec.colour"),
        /field "colour" does not exist/,
      );
    });

    test("api-resources, api-versions, version and cluster-info tell what there is", async () => {
      const resources = await kubectl.ok("api-resources");
      assert.match(
        resources,
        /^networkpolicies +netpol +networking.k8s.io\/v1 +true +NetworkPolicy$/m,
      );
      assert.match(await kubectl.ok("api-versions"), /^apps\/v1$/m);
      assert.match(await kubectl.ok("version"), /Server Version/);
      assert.match(await kubectl.ok("cluster-info"), /is running at/);
      assert.equal(await kubectl.ok("auth can-i create pods"), "yes\n");
    });

    test("delete takes one, by label, all and by file, and waits until they are gone", async () => {
      for (const name of ["a", "b", "c", "d"])
        await kubectl.ok(`create cm del-${name} -n shop --from-literal=x=y`);
      assert.match(await kubectl.ok("delete cm del-a -n shop"), /deleted/);
      await kubectl.ok("label cm del-b -n shop doomed=yes");
      await kubectl.ok("delete cm -n shop -l doomed=yes");
      assert.match(await kubectl.ok("get cm -n shop -o name"), /del-c/);
      await kubectl.ok("delete cm -n shop --all");
      assert.equal(await kubectl.ok("get cm -n shop -o name"), "");
      assert.match(await kubectl.fails("delete cm del-a -n shop"), /not found/);
      assert.equal(await kubectl.ok("delete cm del-a -n shop --ignore-not-found"), "");
      await kubectl.apply(manifest);
    });

    test("wait sees conditions and deletions", async () => {
      const setFinalizers = async (value: string): Promise<string> =>
        await kubectl.ok(
          "patch cm settings -n shop --type=merge",
          `--patch={"metadata":{"finalizers":${value}}}`,
        );
      await setFinalizers('["example.com/hold"]');
      await kubectl.ok("delete cm settings -n shop --wait=false");
      const waiting = kubectl.ok("wait --for=delete cm/settings -n shop --timeout=20s");
      await setTimeout(300);
      await setFinalizers("null");
      await waiting;
      const ready = kubectl.ok("wait --for=condition=Available deploy/api -n shop --timeout=20s");
      await kubectl.setAvailable("shop", "api");
      await ready;
      await kubectl.apply(manifest);
    });

    test("diff shows what apply would change", async () => {
      const { code, stdout } = await kubectl.runWith(
        manifest.replace("colour: red", "colour: green"),
        "diff -f -",
      );
      assert.equal(code, 1);
      assert.match(stdout, /^- +colour: red$/m);
      assert.match(stdout, /^\+ +colour: green$/m);
      assert.equal((await kubectl.runWith(manifest, "diff -f -")).code, 0);
    });

    test("logs and exec are refused in words", async () => {
      assert.match(await kubectl.fails("logs web -n shop"), /no kubelets/);
      assert.notEqual((await kubectl.run("exec web -n shop -- true")).code, 0);
    });

    test("a namespace takes its content along", async () => {
      await kubectl.ok("delete ns shop");
      assert.equal(await kubectl.ok("get pods,cm,netpol,deploy -A -o name"), "");
      assert.match(await kubectl.fails("delete ns default"), /this namespace may not be deleted/);
    });
  });
}
