// Addresses for pods, from the pod's creation until its Endpoint is stored, with the API server and the controller in one
// process: one pod at a time, and many at once, on a cluster that is empty and on one that has many pods. Beside it what the
// API server takes for as many Endpoints alone. The controller's writes take 5 ms longer than they do on loopback, as with a
// store that has to reach its disks. `--quick` does a tenth.
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../src/client/api-client.ts";
import { Controller } from "../src/controller/controller.ts";
import { domainKind } from "../src/kinds/domain.ts";
import { endpointKind } from "../src/kinds/endpoint.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { podKind } from "../src/kinds/pod.ts";
import { createLog } from "../src/runtime/log.ts";
import { makeTestClient, startTestApi } from "../test/api-harness.ts";

const scale = process.argv.includes("--quick") ? 0.1 : 1;
const burst = 1_000 * scale;
const single = 100 * scale;
const others = 10_000 * scale;
const inFlight = 16;
const latencyMs = 5;
const apiVersion = "isobar.io/v1alpha1";

await using api = await startTestApi();
const { client } = api;
await client.create(domainKind, {
  apiVersion,
  kind: "Domain",
  metadata: { name: "default" },
  spec: { vni: 1, pools: ["10.0.0.0/8", "fd00::/40"] },
});
let writes = 0;
const own = makeTestClient(api.server.url);
const open = own.open.bind(own);
own.open = async (method, ...rest) => {
  if (method !== "GET") {
    writes += 1;
    await sleep(latencyMs);
  }
  return await open(method, ...rest);
};
const controller = new Controller({
  sources: [{ name: "", client: own, events: { record: () => {} } }],
  listen: [],
  log: createLog({ name: "controller", level: "silent" }),
});
const stopping = new AbortController();
const running = controller.run(stopping.signal);
await report("empty");
for (let index = 0; index < others / 1_000; index++) await makeMany(`others-${index}`, 1_000);
await report(`with ${others} pods`);
await measureBare();
stopping.abort();
await running;
await own.close();

async function report(cluster: string): Promise<void> {
  const zone = `bench-${cluster.replaceAll(" ", "-")}`;
  const before = writes;
  const ms = await makeMany(zone, burst);
  const perPod = (writes - before) / burst;
  const times: number[] = [];
  for (let index = 0; index < single; index++) {
    const started = performance.now();
    await makePod(zone, `single-${index}`);
    await untilEndpoint(zone, `single-${index}`);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (part: number): string => (times[Math.floor(times.length * part)] ?? 0).toFixed(1);
  console.log(
    `${cluster}: ${burst} pods at once ${Math.round(ms)} ms, ${perPod.toFixed(2)} writes a pod; one pod p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
}

/** Milliseconds until all have their endpoints. */
async function makeMany(zone: string, count: number): Promise<number> {
  await client.create(namespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: zone },
  });
  const started = performance.now();
  await spread(count, async (index) => await makePod(zone, `p${index}`));
  for (let index = 0; index < count; index++) await untilEndpoint(zone, `p${index}`);
  return performance.now() - started;
}

/** What the API server alone takes for the same objects. */
async function measureBare(): Promise<void> {
  await client.create(namespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "bare" },
  });
  const started = performance.now();
  await spread(burst, async (index) => {
    const name = `p${index}`;
    await makeUnplaced(client, name);
    await client.create(endpointKind, {
      apiVersion,
      kind: "Endpoint",
      metadata: { namespace: "bare", name },
      spec: {
        domain: "default",
        network: "none",
        addresses: [`10.255.${index >> 8}.${index & 255}`],
        mac: "0a:58:00:00:00:01",
        attachment: { kind: "Server", name },
      },
    });
  });
  const ms = performance.now() - started;
  console.log(`the API server alone: ${burst} pods and Endpoints ${Math.round(ms)} ms`);
}

async function makeUnplaced(to: ApiClient, name: string): Promise<void> {
  await to.create(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "bare", name },
    spec: { containers: [{ name: "c", image: "i" }] },
  });
}

async function makePod(namespace: string, name: string): Promise<void> {
  await client.create(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name },
    spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] },
  });
}

async function untilEndpoint(namespace: string, name: string): Promise<void> {
  while ((await client.find(endpointKind, { namespace, name })) === undefined) await sleep(1);
}

async function spread(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}
