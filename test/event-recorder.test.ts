// The recorder of Events against the real server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  EventRecorder,
  type EventRecorderOptions,
  type EventReport,
  subjectOf,
} from "../src/client/event-recorder.ts";
import { type Event, eventKind } from "../src/kinds/event.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { podKind } from "../src/kinds/pod.ts";
import { startTestApi, type TestApi } from "./api-harness.ts";

const component = "isobar-test";

function report(name: string, reason: string, message: string): EventReport {
  const regarding = subjectOf(podKind, { namespace: "default", name, uid: `uid of ${name}` });
  return { regarding, type: "Warning", reason, message };
}

interface Clock extends Pick<EventRecorderOptions, "now" | "sleep"> {
  nowMs: number;
}

/** A clock that goes on when somebody waits. */
function makeClock(): Clock {
  const clock: Clock = {
    nowMs: Date.parse("2026-01-01T00:00:00Z"),
    now: () => clock.nowMs,
    sleep: async (delayMs, signal) => {
      clock.nowMs += delayMs;
      await sleep(1, undefined, { signal }).catch(() => {});
    },
  };
  return clock;
}

async function eventsOf(api: TestApi): Promise<Event[]> {
  const { items } = await api.client.list(eventKind);
  return items.toSorted((a, b) => (a.reason ?? "").localeCompare(b.reason ?? ""));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1000 && !(await condition()); attempt++) await sleep(5);
  assert.ok(await condition());
}

test("an event stands on its object, and repetitions are counted in it", async () => {
  await using api = await startTestApi();
  const clock = makeClock();
  const options = { client: api.client, component, ...clock };
  await using recorder = new EventRecorder(options);
  recorder.record(report("web", "AddressesExhausted", "no address in 10.0.0.0/30"));
  recorder.record(report("web", "AddressesExhausted", "no address in 10.0.0.0/29"));
  recorder.record(report("web", "Other", "x".repeat(2000)));
  await until(async () => (await eventsOf(api)).length === 2);
  const [first, other] = await eventsOf(api);
  assert.deepEqual(
    [first?.count, first?.message, first?.type, first?.involvedObject.uid],
    [2, "no address in 10.0.0.0/29", "Warning", "uid of web"],
  );
  assert.equal(first?.source?.component, component);
  assert.equal(first?.firstTimestamp, "2026-01-01T00:00:00Z");
  assert.equal(other?.message?.length, 1024);
  const before = clock.nowMs;
  recorder.record(report("web", "AddressesExhausted", "no address in 10.0.0.0/28"));
  await until(async () => (await eventsOf(api))[0]?.count === 3);
  assert.ok(clock.nowMs - before > 50_000, "repetitions wait for a minute");
  assert.equal((await eventsOf(api)).length, 2);

  await using again = new EventRecorder(options);
  again.record(report("web", "AddressesExhausted", "still none"));
  await until(async () => (await eventsOf(api))[0]?.count === 4);
  assert.equal((await eventsOf(api))[0]?.message, "still none");
});

test("events of objects without a namespace are in default", async () => {
  await using api = await startTestApi();
  await using recorder = new EventRecorder({ client: api.client, component });
  const regarding = subjectOf(namespaceKind, { name: "shop", uid: "1" });
  recorder.record({ regarding, type: "Normal", reason: "Seen", message: "hello" });
  await until(async () => (await eventsOf(api)).length === 1);
  assert.equal((await eventsOf(api))[0]?.metadata.namespace, "default");
});

test("a burst is bounded, and what is lost is told", async () => {
  await using api = await startTestApi();
  const lost: number[] = [];
  const clock = makeClock();
  const recorder = new EventRecorder({
    client: api.client,
    component,
    ...clock,
    onLost: (_error, reports) => lost.push(reports),
  });
  for (let index = 0; index < 3000; index++) recorder.record(report(`pod-${index}`, "Many", "…"));
  await until(async () => (await eventsOf(api)).length > 10);
  await recorder[Symbol.asyncDispose]();
  assert.deepEqual(lost, [3000 - 2048]);
});

test("a namespace that is gone, or a server that is away, costs nothing but the event", async () => {
  const api = await startTestApi();
  const lost: string[] = [];
  const clock = makeClock();
  const onLost = (error: Error): void => void lost.push(error.name);
  await using recorder = new EventRecorder({ client: api.client, component, ...clock, onLost });
  const regarding = { apiVersion: "v1", kind: "Pod", namespace: "nowhere", name: "web", uid: "1" };
  recorder.record({ regarding, type: "Warning", reason: "Lost", message: "…" });
  await until(async () => lost.length === 1);
  await api[Symbol.asyncDispose]();
  recorder.record(report("web", "Away", "…"));
  await until(async () => lost.length === 2);
  assert.deepEqual(lost, ["StatusError", "UnavailableError"]);
});
