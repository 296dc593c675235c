// What stands on a Domain: whether its VNI is its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiClient } from "../../src/client/api-client.ts";
import { domainKind } from "../../src/kinds/domain.ts";
import { fieldOf } from "../../src/kubernetes/json.ts";
import { startTestApi } from "../api-harness.ts";
import { until } from "./following-agent.ts";
import {
  createDomain,
  createNamespace,
  createNode,
  createPod,
  RunningController,
} from "./harness.ts";

async function makeDomain(client: ApiClient, name: string, vni: number): Promise<void> {
  await client.create(domainKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Domain",
    metadata: { name },
    spec: { vni, pools: ["10.77.0.0/16"] },
  });
}

async function vniUnique(client: ApiClient, name: string): Promise<string> {
  const { status } = await client.get(domainKind, { name });
  const found = status?.conditions?.find(({ type }) => type === "VniUnique");
  return found === undefined ? "" : `${found.status} ${found.reason} ${found.message}`;
}

test("domains with one VNI are told of each other, in all sources, until one of them goes", async () => {
  await using api = await startTestApi();
  await using east = await startTestApi();
  const { client } = api;
  await createDomain(client, 5, "10.1.0.0/16");
  await createDomain(east.client, 9, "10.1.0.0/16");
  await createNode(client, "n1", "192.0.2.1");
  await createNamespace(client, "shop");
  await createPod(client, { namespace: "shop", name: "web", node: "n1" });
  await using running = new RunningController({ "": client, east: east.client });
  const becomes = async (where: ApiClient, name: string, text: string): Promise<void> => {
    await until(async () => (await vniUnique(where, name)) === text);
  };
  const unique = "True Unique no other domain has it";
  await becomes(client, "default", unique);
  await makeDomain(client, "lab", 5);
  await makeDomain(client, "office", 6);
  const none = "none of them has traffic between nodes";
  await becomes(client, "default", `False Shared shared with lab: ${none}`);
  await becomes(client, "lab", `False Shared shared with default: ${none}`);
  await becomes(client, "office", unique);
  await until(() => running.reports.all.some(({ reason }) => reason === "VniShared"));

  // Of another source, and beside what the controller says of the domain's addresses.
  await makeDomain(east.client, "other", 5);
  await becomes(east.client, "other", `False Shared shared with default, lab: ${none}`);
  await becomes(client, "lab", `False Shared shared with default, east:other: ${none}`);
  await until(async () => {
    const { status } = await client.get(domainKind, { name: "default" });
    return fieldOf(status, "used") === 1 && status?.conditions?.length === 1;
  });

  await client.delete(domainKind, { name: "lab" });
  await east.client.delete(domainKind, { name: "other" });
  await becomes(client, "default", unique);
  const { status } = await client.get(domainKind, { name: "default" });
  assert.equal(fieldOf(status, "used"), 1);
});
