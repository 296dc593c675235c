// What the controller makes of Services and says on them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiClient } from "../../src/client/api-client.ts";
import { domainKind } from "../../src/kinds/domain.ts";
import { serviceKind } from "../../src/kinds/service.ts";
import { startTestApi } from "../api-harness.ts";
import { until } from "../lab/harness.ts";
import { RunningController, createNamespace, createNode } from "./harness.ts";

async function createService(client: ApiClient, name: string, externalIPs: string[]) {
  await client.create(serviceKind, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "shop", name },
    spec: { externalIPs, ports: [{ port: 80 }] },
  });
}

test("what is not served of a Service is told on it, and ends when the reason ends", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await client.create(domainKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Domain",
    metadata: { name: "default" },
    spec: { vni: 1, pools: ["10.128.0.0/16"], serviceCidrs: ["10.96.0.0/16"] },
  });
  await createNode(client, "n1", "192.0.2.1");
  await createNamespace(client, "shop");
  await createService(client, "first", ["203.0.113.1"]);
  await createService(client, "thief", ["203.0.113.1", "10.128.0.7"]);
  await using running = new RunningController({ "": client });
  await using agent = running.agent("n1");
  const frontends = (name: string): string[] =>
    [...agent.resources.values()]
      .filter((resource) => resource.kind === "service" && resource.name === `shop/${name}`)
      .flatMap((resource) => (resource.kind === "service" ? resource.frontends : []))
      .filter(({ scope }) => scope === "external")
      .map(({ address }) => address);
  await until("the first one's address", () => frontends("first").length === 1);
  assert.deepEqual(frontends("thief"), []);
  const told = running.reports.all.filter(({ reason }) => reason === "ServedInPart");
  assert.ok(told.every(({ regarding }) => regarding.name === "thief"));
  // Kinds are read in any order, and each may add to what there is to say.
  assert.equal(
    told.at(-1)?.message,
    "externalIPs: 10.128.0.7 is in the domain's pools, and may be an endpoint's; 203.0.113.1 TCP port 80 is shop/first's",
  );
  await client.delete(serviceKind, { namespace: "shop", name: "first" });
  await until("the address for the other", () => frontends("thief").includes("203.0.113.1"));
  assert.deepEqual(frontends("thief"), ["203.0.113.1"]);
});
