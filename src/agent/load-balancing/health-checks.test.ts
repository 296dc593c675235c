import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createLog } from "../../runtime/log.ts";
import type { Resource } from "../../southbound/resources.ts";
import { HealthChecks } from "./health-checks.ts";

const log = createLog({ name: "test", level: "silent" });

function service(changes: object = {}, family: 4 | 6 = 4): Resource {
  return {
    kind: "service",
    id: `shop/web TCP/80 IPv${family}`,
    name: "shop/web",
    portName: "",
    domain: "default",
    protocol: "TCP",
    family,
    frontends: [],
    internalPolicy: "Cluster",
    externalPolicy: "Local",
    ...changes,
  };
}

function backend(address: string, node: string, ready = true): Resource {
  const id = "shop/web TCP/80 IPv4";
  return { kind: "backend", id: `${id} ${address}`, service: id, address, port: 80, node, ready };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Answer {
  readonly code: number;
  readonly body: unknown;
}

/** What the port answers; `undefined` while nobody listens there. */
async function ask(port: number): Promise<Answer | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    return { code: response.status, body: await response.json() };
  } catch {
    return undefined;
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `waited for: ${what}`);
    await sleep(20);
  }
}

test("says by HTTP how many endpoints of the Service are on this node, as kube-proxy does", async () => {
  let healthy = true;
  await using checks = new HealthChecks({
    node: "n1",
    nodePorts: true,
    isHealthy: () => healthy,
    log,
  });
  const port = await freePort();
  const six = service({ healthCheckNodePort: port }, 6);
  checks.update({ upserts: [service({ healthCheckNodePort: port }), six], deletes: [] });
  await until("an answer", async () => (await ask(port)) !== undefined);
  const body = (localEndpoints: number) => ({
    service: { namespace: "shop", name: "web" },
    localEndpoints,
    serviceProxyHealthy: healthy,
  });
  assert.deepEqual(await ask(port), { code: 503, body: body(0) });
  const here = [backend("10.0.0.1", "n1"), backend("10.0.0.2", "n1")];
  const elsewhere = [backend("10.0.0.3", "n2"), backend("10.0.0.4", "n1", false)];
  checks.update({ upserts: [...here, ...elsewhere], deletes: [] });
  assert.deepEqual(await ask(port), { code: 200, body: body(2) });
  healthy = false;
  assert.deepEqual(await ask(port), { code: 503, body: body(2) });
  healthy = true;
  checks.update({ upserts: [backend("10.0.0.2", "n2")], deletes: here.slice(0, 1) });
  assert.deepEqual(await ask(port), { code: 503, body: body(0) });
});

test("listens at another port, or not at all, as the Service says", async () => {
  await using checks = new HealthChecks({
    node: "n1",
    nodePorts: true,
    isHealthy: () => true,
    log,
  });
  const [first, second] = [await freePort(), await freePort()];
  checks.update({ upserts: [service({ healthCheckNodePort: first })], deletes: [] });
  await until("the first port", async () => (await ask(first)) !== undefined);
  checks.update({ upserts: [service({ healthCheckNodePort: second })], deletes: [] });
  await until("the second port", async () => (await ask(second)) !== undefined);
  assert.equal(await ask(first), undefined);
  const cluster = service({ healthCheckNodePort: second, externalPolicy: "Cluster" });
  checks.update({ upserts: [cluster], deletes: [] });
  await until("no port", async () => (await ask(second)) === undefined);
});

test("a port that somebody else has is taken as soon as it is free", async () => {
  await using checks = new HealthChecks({
    node: "n1",
    nodePorts: true,
    isHealthy: () => true,
    log,
  });
  const other = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => other.listen(0, resolve));
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  checks.update({ upserts: [service({ healthCheckNodePort: port })], deletes: [] });
  await sleep(100);
  assert.equal(await ask(port), undefined);
  await new Promise((resolve) => other.close(resolve));
  await until("an answer", async () => (await ask(port)) !== undefined);
});
