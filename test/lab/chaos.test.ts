// Everything changes at random while the controller, agents and the API server die, and connections are tried all the time.
// No connection may open that the objects have not allowed within the realisation time, none may end that they still allow,
// and afterwards all is as the last objects say and nothing of what was is left.
// ISOBAR_TEST_MINUTES and ISOBAR_TEST_SEED, or ./isobar test --chaos --minutes N --seed S, choose another length and repeat.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkAddresses } from "../../src/cli/ipam-check.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import { formatPacket } from "../arbitrary/packets.ts";
import { Churn, randomFrom } from "./churn.ts";
import { TestLab, until } from "./harness.ts";
import { Conversation, EchoServer } from "./traffic.ts";
import { type Opening, Witness } from "./witness.ts";

const seed = Number(process.env["ISOBAR_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const minutes = Number(process.env["ISOBAR_TEST_MINUTES"] ?? 1);
/** How long the API server is away, once in the time. */
const awayMs = Math.min(60_000, minutes * 10_000);
/** A quiet machine starts a program within this time; one that takes longer is as much slower in all else. */
const usualStartMs = 2_000;
/** When agents follow a controller again, they still have to take in what they missed. */
const catchUpMs = 5_000;
/** Long enough for a machine on which starting a process takes a minute; what is too long is measured. */
const longestRecoveryMs = 300_000;
const controllerProgram = join(import.meta.dirname, "../../src/main/controller.ts");
const probesAtOnce = 24;
const echoPort = 7003;
const keepers = ["k1", "k2", "k3"] as const;
const agents = ["agent-node-1", "agent-node-2", "agent-node-3"] as const;

const stack = new AsyncDisposableStack();
const prober = new Prober();
const witness = new Witness();
const openings: Opening[] = [];
const log: string[] = [];

/** The logs of the lab's processes have the same times. */
function note(text: string): void {
  log.push(`${new Date().toISOString()} ${text}`);
}
let probes = 0;
let lab: TestLab;
let churn: Churn;

interface Target {
  readonly id: string;
  readonly uid: string;
  readonly addresses: readonly string[];
}
let targets: readonly Target[] = [];

/** The pods of the conversations always admit one another; whatever else says that they are isolated. */
const keep = `
apiVersion: v1
kind: Namespace
metadata: { name: keep }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: echo, namespace: keep }
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: [{ from: [{ podSelector: {} }], ports: [{ port: ${echoPort} }] }]
  egress: [{ to: [{ podSelector: {} }], ports: [{ port: ${echoPort} }] }]
${keepers
  .map(
    (name, index) => `---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: keep, labels: { app: web } }
spec: { nodeName: node-${index + 1}, containers: [{ name: main, image: any, ports: [{ containerPort: 80 }] }] }
`,
  )
  .join("")}`;

async function addressesOf(namespace: string, name: string): Promise<readonly string[]> {
  const { status } = await lab.client.get(podKind, { namespace, name });
  return status?.podIPs?.map(({ ip }) => ip) ?? [];
}

/** Takes the objects as they are now. */
async function look(): Promise<void> {
  // What connections are tried to is there when the witness looks.
  const { items } = await lab.client.list(podKind);
  witness.see(await lab.objects());
  targets = items
    .map(({ metadata, status }) => ({
      id: `${metadata.namespace}/${metadata.name}`,
      uid: metadata.uid,
      addresses: status?.podIPs?.map(({ ip }) => ip) ?? [],
    }))
    .filter(({ addresses }) => addresses.length > 0);
}

before(async () => {
  lab = stack.use(await TestLab.start());
  churn = new Churn(lab, seed);
  await churn.begin();
  await lab.apply(keep);
  await lab.settle();
  await look();
});

after(async () => await stack.disposeAsync());

/** Tries connections until the signal is aborted, each from where it is to where it was just now. */
async function probeOn(signal: AbortSignal): Promise<void> {
  const random = randomFrom(seed + 1);
  const services = [
    { protocol: "tcp", port: 80 },
    { protocol: "tcp", port: 8080 },
    { protocol: "udp", port: 53 },
    { protocol: "tcp", port: echoPort },
  ] as const;
  const pick = <T>(list: readonly T[]): T | undefined => list[random(list.length)];
  const one = async (): Promise<void> => {
    const [source, destination] = [pick(targets), pick(targets)];
    const to = pick(destination?.addresses ?? []);
    const service = pick(services);
    if (!source || !destination || destination === source || to === undefined || !service) return;
    const netns = lab.podNetns(source.id);
    const fromMs = performance.now();
    const { verdict } = await prober.probe({ netns, to, ...service, timeoutMs: 400 });
    probes += 1;
    if (verdict !== "allowed" && verdict !== "refused") return;
    const packet = {
      source: { kind: "endpoint", id: source.id },
      destination: { kind: "address", address: to },
      protocol: service.protocol === "udp" ? "UDP" : "TCP",
      destinationPort: service.port,
      family: to.includes(":") ? 6 : 4,
    } as const;
    openings.push({ packet, pod: destination, fromMs, toMs: performance.now() });
  };
  while (!signal.aborted) {
    await Promise.all(Array.from({ length: probesAtOnce }, one));
    await sleep(50);
  }
}

function timeAt(ms: number): string {
  return new Date(performance.timeOrigin + ms).toISOString();
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

async function isWhole(): Promise<boolean> {
  const { processes, nodes } = await lab.status();
  const running = processes.every(({ pid }) => pid !== undefined);
  return running && nodes.every(({ controllerConnected }) => controllerConnected);
}

/** How long this machine takes now to start a program, in milliseconds: a controller that only prints its options. */
async function measureStart(): Promise<number> {
  const beganMs = performance.now();
  const args = ["--no-warnings", controllerProgram, "--help"];
  await once(spawn(process.execPath, args, { stdio: "ignore" }), "exit");
  return performance.now() - beganMs;
}

/** What was killed, or held, how long it took until all was whole again, and how long a program took to start meanwhile. */
const recoveries: { readonly what: string; readonly tookMs: number; readonly startMs: number }[] =
  [];
const startsMs: number[] = [];
const recovering: Promise<void>[] = [];
/** Recoveries that did not come. */
const failures: string[] = [];
/** Blows since the installation was whole. */
let hits = 0;
/** When the latest of them was over. */
let strickenMs = 0;

/** Waits for it, and measures all the time how long a program takes to start: those that were killed do so meanwhile. */
async function timeRecovery(what: string): Promise<{ tookMs: number; startMs: number }> {
  const over = new AbortController();
  let startMs = 0;
  const measure = async (): Promise<void> => {
    do startMs = Math.max(startMs, await measureStart());
    while (!over.signal.aborted);
  };
  const measuring = measure();
  try {
    await until(`recovery from: ${what}`, isWhole, longestRecoveryMs);
  } finally {
    over.abort();
  }
  const tookMs = performance.now() - strickenMs;
  await measuring;
  return { tookMs, startMs };
}

/** Does it in the background; the outage ends when all are there again and have caught up. */
function hurt(what: string, work: () => Promise<unknown>): void {
  note(what);
  const over = witness.outage();
  const hit = (hits += 1);
  const recover = async (): Promise<void> => {
    await work();
    strickenMs = performance.now();
    const { tookMs, startMs } = await timeRecovery(what);
    startsMs.push(startMs);
    note(`whole ${seconds(tookMs)} after: ${what}; a program starts in ${seconds(startMs)}`);
    recoveries.push({ what, tookMs, startMs });
    await sleep(catchUpMs);
    over();
    if (hit === hits) hits = 0;
  };
  recovering.push(recover().catch((error: unknown) => void failures.push(String(error))));
}

function hurtSome(): void {
  const victims = churn.oneOf([
    ["controller"],
    [churn.oneOf(agents)],
    [...agents],
    ["controller", ...agents],
  ]);
  const names = victims.join(", ");
  // One that is down from the last time stays down a little longer.
  const late = (): void => undefined;
  if (churn.below(4) > 0) {
    hurt(
      `kill ${names}`,
      async () => await Promise.all(victims.map((name) => lab.kill(name).catch(late))),
    );
    return;
  }
  // Shorter and longer than the silence that is taken for a death.
  const holdMs = churn.oneOf([2_000, 25_000]);
  hurt(`hold ${names} for ${holdMs} ms`, async () => {
    await lab.whileHeld(victims, async () => await sleep(holdMs)).catch(late);
  });
}

async function change(): Promise<void> {
  const place = { namespace: "keep", name: `x${churn.below(3)}` };
  switch (churn.below(12)) {
    case 0:
      await churn.putPolicy(place);
      note(`put policy keep/${place.name}`);
      break;
    case 1:
      await churn.relabel({ namespace: "keep", name: churn.oneOf(keepers) });
      note("relabel a pod of keep");
      break;
    default:
      note(await churn.step());
  }
  await look();
}

async function leaveTheApiAway(): Promise<void> {
  note(`the API server is away for ${awayMs} ms`);
  const over = witness.outage();
  const victims = churn.oneOf([["apiserver"], ["apiserver", "controller"]]);
  await lab.whileDown(victims, async () => {
    await sleep(awayMs);
    strickenMs = performance.now();
  });
  note("the API server is back");
  over();
}

test("amid changes and kills nothing opens that is not allowed, and nothing ends that is", async (t) => {
  t.diagnostic(`seed ${seed}, ${minutes} minutes; ISOBAR_TEST_SEED repeats the changes`);
  const echo = keepers.map((name) =>
    stack.use(new EchoServer(lab.podNetns(`keep/${name}`), echoPort)),
  );
  assert.equal(echo.length, keepers.length);
  const conversations: Conversation[] = [];
  for (const from of keepers) {
    for (const name of keepers.filter((other) => other !== from)) {
      for (const to of await addressesOf("keep", name)) {
        const route = { netns: lab.podNetns(`keep/${from}`), to, port: echoPort };
        conversations.push(stack.use(new Conversation(`${from} -> ${to}`, route)));
      }
    }
  }
  await until("the conversations", () => conversations.every(({ answered }) => answered > 0));
  for (const conversation of conversations) conversation.start(50);
  const ended = new AbortController();
  const probing = probeOn(ended.signal);
  startsMs.push(await measureStart());
  const beganMs = performance.now();
  const endMs = beganMs + minutes * 60_000;
  const awayAtMs = performance.now() + (minutes * 60_000 - awayMs) * 0.4;
  let wasAway = false;
  while (performance.now() < endMs) {
    if (!wasAway && performance.now() > awayAtMs) {
      wasAway = true;
      await leaveTheApiAway();
    }
    // Once in a while on the way back as well; a recovery that never ends must not be hidden by the next kill.
    if (hits < 2 && churn.below(hits === 0 ? 40 : 24) === 0) hurtSome();
    await change();
    await sleep(churn.below(400));
  }
  ended.abort();
  await probing;
  await Promise.all(recovering);
  await lab.recovered();
  await look();
  for (const conversation of conversations) conversation.pause();
  await until("the last answers", () =>
    conversations.every(({ sent, answered, ended: why }) => why !== undefined || sent === answered),
  ).catch(() => undefined);

  const healthyMs = witness.healthyMs(beganMs, performance.now());
  const startMs = startsMs.toSorted((a, b) => a - b)[Math.floor(startsMs.length / 2)] ?? 0;
  // On a machine that is much slower than a quiet one everything is.
  const slowness = Math.max(1, startMs / usualStartMs);
  const realisationMs = 10_000 * slowness;
  const slow = recoveries.filter((each) => each.tookMs > 15_000 + 5 * each.startMs);
  const slowestMs = Math.max(0, ...recoveries.map(({ tookMs }) => tookMs));
  const judged = openings.map((opening) => ({ opening, lateMs: witness.latenessMs(opening) }));
  const late = judged.map(({ lateMs }) => lateMs ?? Infinity).filter((lateMs) => lateMs > 0);
  t.diagnostic(`${log.length} changes and kills, ${witness.versions} versions of the objects`);
  t.diagnostic(
    `healthy for ${seconds(healthyMs)} of ${seconds(performance.now() - beganMs)}, ${recoveries.length} recoveries, the slowest in ${seconds(slowestMs)}`,
  );
  t.diagnostic(
    `a program starts in ${seconds(startMs)}, so changes are given ${seconds(realisationMs)}`,
  );
  t.diagnostic(
    `${probes} probes, ${openings.length} opened, ${late.length} of them after a change, ${Math.round(Math.max(0, ...late))} ms at most`,
  );
  const tooOpen = judged
    .filter(({ lateMs }) => lateMs === undefined || lateMs > realisationMs)
    .map(({ opening, lateMs }) => {
      const { packet, pod, fromMs } = opening;
      log.push("", `${formatPacket(packet)} (${pod?.id}):`, ...witness.history(opening, timeAt));
      const to = `${formatPacket(packet)} (${pod?.id})`;
      return `${timeAt(fromMs)} ${to}: ${String(lateMs)} ms late`;
    });
  const words = `seed ${seed}:\n${log.join("\n")}`;
  // Kept with the logs of the lab's processes.
  writeFileSync(join(lab.paths.directory, "chaos.log"), words);
  const faults = { tooOpen, failures, slow };
  assert.deepEqual(faults, { tooOpen: [], failures: [], slow: [] }, words);
  assert.ok(healthyMs > minutes * 3_000, `healthy for only ${seconds(healthyMs)}`);
  const cut = conversations
    .filter(({ ended: why, sent, answered }) => why !== undefined || sent !== answered)
    .map(({ name, ended: why, sent, answered }) => `${name}: ${why ?? ""} ${answered} of ${sent}`);
  assert.deepEqual(cut, [], words);
  assert.ok(
    openings.length > 50 && probes - openings.length > 50,
    `${openings.length} of ${probes}`,
  );
});

test("afterwards verdicts are the evaluator's, and no address has leaked", async (t) => {
  for (const family of [4, 6] as const) {
    const { probes: sent, mismatches } = await lab.compareVerdicts(family);
    t.diagnostic(`IPv${family}: ${sent} probes`);
    assert.deepEqual(mismatches, [], `seed ${seed}:\n${log.join("\n")}`);
  }
  const { findings } = await checkAddresses(lab.client, { settleMs: 180_000, repair: false });
  assert.deepEqual(findings, []);
});
