import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { defaultConfigPath, loadClientConfig, loadInCluster } from "./in-cluster.ts";

const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
let directory = "";
before(() => {
  directory = mkdtempSync(join(tmpdir(), "isobar-account-"));
});
after(() => rmSync(directory, { recursive: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}

test("the service account's files and the two variables are all that is needed", () => {
  write({ "ca.crt": "CA", token: "first\n", namespace: "isobar-system" });
  const config = loadInCluster(environment, directory);
  assert.equal(config.server, "https://10.96.0.1:443");
  assert.equal(config.authority, "CA");
  assert.equal(config.namespace, "isobar-system");
  assert.equal(config.token?.(), "first");
});

test("an IPv6 host is put into brackets", () => {
  write({ "ca.crt": "CA", token: "first" });
  const six = { ...environment, KUBERNETES_SERVICE_HOST: "fd00::1" };
  const { server } = loadInCluster(six, directory);
  assert.equal(server, "https://[fd00::1]:443");
  assert.equal(new URL(server).hostname, "[fd00::1]");
});

test("a renewed token is used at once, and the last one while there is none to read", () => {
  write({ "ca.crt": "CA", token: "first" });
  const config = loadInCluster(environment, directory);
  write({ token: "second\n", "ca.crt": "other CA" });
  assert.equal(config.token?.(), "second");
  assert.equal(config.renew?.().authority, "other CA");
  rmSync(join(directory, "token"));
  assert.equal(config.token?.(), "second");
  write({ token: "" });
  assert.equal(config.token?.(), "second");
});

test("outside a cluster, or without an account, it is said what is missing", () => {
  assert.match(defaultConfigPath({}), /\.kube\/config$/);
  assert.equal(defaultConfigPath(environment), "in-cluster");
  assert.equal(defaultConfigPath({ ...environment, KUBECONFIG: "/a/config" }), "/a/config");
  assert.throws(() => loadInCluster({}, directory), {
    name: "KubeconfigError",
    message: /KUBERNETES_SERVICE_HOST.*are not set; name a kubeconfig/,
  });
  assert.throws(() => loadInCluster(environment, join(directory, "none")), {
    name: "KubeconfigError",
    message: /none\/ca.crt of the service account; does the pod have automount/,
  });
  assert.throws(() => loadClientConfig("/nowhere/config"), /cannot read the kubeconfig/);
});
