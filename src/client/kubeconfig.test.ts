import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { stringify } from "yaml";
import { KubeconfigError } from "./errors.ts";
import { defaultKubeconfigPath, loadKubeconfig } from "./kubeconfig.ts";

let directory = "";
before(() => {
  directory = mkdtempSync(join(tmpdir(), "isobar-kubeconfig-"));
  writeFileSync(join(directory, "ca.crt"), "file CA");
  writeFileSync(join(directory, "token"), "first\n");
});
after(() => rmSync(directory, { recursive: true }));

function write(user: object, cluster: object = {}): string {
  const path = join(directory, "config");
  const config = {
    "current-context": "one",
    contexts: [
      { name: "one", context: { cluster: "c", user: "u", namespace: "ns" } },
      { name: "two", context: { cluster: "c", user: "u" } },
      { name: "broken", context: { cluster: "missing" } },
    ],
    clusters: [{ name: "c", cluster: { server: "https://host:6443", ...cluster } }],
    users: [{ name: "u", user }],
  };
  writeFileSync(path, stringify(config));
  return path;
}

function data(text: string): string {
  return Buffer.from(text).toString("base64");
}

function complaint(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof KubeconfigError);
    return error.message;
  }
  return "";
}

test("the current context gives server, namespace, authority and credentials", () => {
  const path = write(
    { "client-certificate-data": data("cert"), "client-key-data": data("key"), token: "secret" },
    { "certificate-authority-data": data("CA") },
  );
  const { token, renew: _renew, ...config } = loadKubeconfig(path);
  assert.equal(token?.(), "secret");
  assert.deepEqual(config, {
    server: "https://host:6443",
    authority: "CA",
    certificate: "cert",
    key: "key",
    namespace: "ns",
  });
  assert.equal(loadKubeconfig(path, "two").namespace, "default");
});

test("files are read relative to the kubeconfig, a token file anew each time", () => {
  const config = loadKubeconfig(
    write({ tokenFile: "token" }, { "certificate-authority": "ca.crt" }),
  );
  assert.equal(config.authority, "file CA");
  assert.equal(config.token?.(), "first");
  writeFileSync(join(directory, "token"), "second\n");
  assert.equal(config.token?.(), "second");
});

test("what was replaced is read again on request", () => {
  const config = loadKubeconfig(write({ token: "first" }, { "tls-server-name": "kubernetes" }));
  assert.equal(config.serverName, "kubernetes");
  write({ token: "second" });
  assert.equal(config.token?.(), "first");
  assert.equal(config.renew?.().token?.(), "second");
});

test("what is missing, wrong or not supported is named", () => {
  const path = write({});
  assert.match(
    complaint(() => loadKubeconfig(join(directory, "none"))),
    /cannot read the kubeconfig .*: there is no such file/,
  );
  assert.match(
    complaint(() => loadKubeconfig(path, "three")),
    /has no entry "three" in contexts/,
  );
  assert.match(
    complaint(() => loadKubeconfig(path, "broken")),
    /has no entry "missing" in clusters/,
  );
  assert.match(
    complaint(() => loadKubeconfig(write({ exec: {} }))),
    /users with exec are not supported/,
  );
  assert.match(
    complaint(() => loadKubeconfig(write({}, { "proxy-url": "http://proxy" }))),
    /behind a proxy-url are not supported/,
  );
  assert.match(
    complaint(() => loadKubeconfig(write({ "client-key": "none.key" }))),
    /which cannot be read/,
  );
  writeFileSync(path, "- a\n");
  assert.match(
    complaint(() => loadKubeconfig(path)),
    /is not a kubeconfig/,
  );
});

test("KUBECONFIG names the file, the first that is there of several", () => {
  const path = write({});
  assert.equal(defaultKubeconfigPath({ KUBECONFIG: `/nowhere/a:${path}:/nowhere/b` }), path);
  assert.equal(defaultKubeconfigPath({ KUBECONFIG: "/nowhere/a" }), "/nowhere/a");
  assert.match(defaultKubeconfigPath({}), /\.kube\/config$/);
});
