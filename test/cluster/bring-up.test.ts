import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster } from "./cluster.ts";
import { until } from "./until.ts";

let cluster: Cluster | undefined;

before(async () => {
  cluster = await Cluster.start("bring-up", ["node-1", "node-2"]);
});

after(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

test("nodes register with the control plane and wait for a network plugin", async () => {
  const kubectl = cluster!.kubectl;
  const template =
    "{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=='Ready')].reason}{'\\n'}{end}";
  await until("the word of both nodes", async () => {
    const said = await kubectl.get(template, "nodes");
    return said === "node-1 KubeletNotReady\nnode-2 KubeletNotReady\n";
  });
});

test("the release is the one that is pinned", async () => {
  const { serverVersion } = JSON.parse(await cluster!.kubectl.run("version", "--output=json"));
  assert.match(serverVersion.gitVersion, /^v1\.3[0-6]\./);
});
