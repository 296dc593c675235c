// Everything changes at random while the controller, agents and the API server die, and connections are tried all the time.
// No connection may open that the objects have not allowed within the realisation time, none may end that they still allow,
// and afterwards all is as the last objects say and nothing of what was is left.
// ISOBAR_TEST_MINUTES and ISOBAR_TEST_SEED, or ./isobar test --chaos --minutes N --seed S, choose another length and repeat.
import assert from "node:assert/strict";
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
/** Within this time after a change no connection opens any more that the change denies. */
const realisationMs = 10_000;
/** After its process is there again, the controller reads the API, agents reconnect, and all catch up. */
const recoveryMs = 5_000;
const probesAtOnce = 24;
const echoPort = 7003;
const keepers = ["k1", "k2", "k3"] as const;
const agents = ["agent-node-1", "agent-node-2", "agent-node-3"] as const;

const stack = new AsyncDisposableStack();
const prober = new Prober();
const witness = new Witness();
const openings: Opening[] = [];
const log: string[] = [];
let probes = 0;
let lab: TestLab;
let churn: Churn;

interface Target {
  readonly id: string;
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
  witness.see(await lab.objects());
  const { items } = await lab.client.list(podKind);
  targets = items
    .map(({ metadata, status }) => ({
      id: `${metadata.namespace}/${metadata.name}`,
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
    if (source === undefined || destination === source || to === undefined || !service) return;
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
    openings.push({ packet, fromMs, toMs: performance.now() });
  };
  while (!signal.aborted) {
    await Promise.all(Array.from({ length: probesAtOnce }, one));
    await sleep(50);
  }
}

/** Kills some of them; the outage ends when others run in their places and have caught up. */
async function killSome(): Promise<void> {
  const victims = churn.oneOf([
    ["controller"],
    [churn.oneOf(agents)],
    [...agents],
    ["controller", ...agents],
  ]);
  const over = witness.outage();
  log.push(`kill ${victims.join(", ")}`);
  // A victim that is down from the last time stays down a little longer.
  for (const name of victims) await lab.kill(name).catch(() => undefined);
  void (async () => {
    await until(
      "the processes",
      async () => (await lab.status()).processes.every(({ pid }) => pid !== undefined),
      60_000,
    ).catch(() => undefined);
    await sleep(recoveryMs);
    over();
  })();
}

async function change(): Promise<void> {
  const place = { namespace: "keep", name: `x${churn.below(3)}` };
  switch (churn.below(12)) {
    case 0:
      await churn.putPolicy(place);
      log.push(`put policy keep/${place.name}`);
      break;
    case 1:
      await churn.relabel({ namespace: "keep", name: churn.oneOf(keepers) });
      log.push("relabel a pod of keep");
      break;
    default:
      log.push(await churn.step());
  }
  await look();
}

async function leaveTheApiAway(): Promise<void> {
  log.push(`the API server is away for ${awayMs} ms`);
  const over = witness.outage();
  const victims = churn.oneOf([["apiserver"], ["apiserver", "controller"]]);
  await lab.whileDown(victims, async () => await sleep(awayMs));
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
  const endMs = performance.now() + minutes * 60_000;
  const awayAtMs = performance.now() + (minutes * 60_000 - awayMs) * 0.4;
  let wasAway = false;
  while (performance.now() < endMs) {
    if (!wasAway && performance.now() > awayAtMs) {
      wasAway = true;
      await leaveTheApiAway();
    }
    if (churn.below(12) === 0) await killSome();
    await change();
    await sleep(churn.below(400));
  }
  ended.abort();
  await probing;
  await lab.recovered();
  await look();
  for (const conversation of conversations) conversation.pause();
  await until("the last answers", () =>
    conversations.every(({ sent, answered, ended: why }) => why !== undefined || sent === answered),
  ).catch(() => undefined);

  const judged = openings.map((opening) => ({ opening, lateMs: witness.latenessMs(opening) }));
  const late = judged.map(({ lateMs }) => lateMs ?? Infinity).filter((lateMs) => lateMs > 0);
  t.diagnostic(`${log.length} changes and kills, ${witness.versions} versions of the objects`);
  t.diagnostic(
    `${probes} probes, ${openings.length} opened, ${late.length} of them after a change, ${Math.round(Math.max(0, ...late))} ms at most`,
  );
  const tooOpen = judged
    .filter(({ lateMs }) => lateMs === undefined || lateMs > realisationMs)
    .map(({ opening, lateMs }) => `${formatPacket(opening.packet)}: ${String(lateMs)} ms late`);
  const words = `seed ${seed}:\n${log.join("\n")}`;
  assert.deepEqual(tooOpen, [], words);
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
