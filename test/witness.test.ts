// The judge of the chaos test must itself be seen to condemn.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Witness } from "./lab/witness.ts";
import { renderObjects } from "./policy-cases/objects.ts";

const open = renderObjects({}, {});
const closed = renderObjects({}, { "shop/p": { podSelector: {}, policyTypes: ["Ingress"] } });
const packet = {
  source: { kind: "endpoint", id: "pay/api" },
  destination: { kind: "address", address: "10.0.1.1" },
  protocol: "TCP",
  destinationPort: 80,
  family: 4,
} as const;

test("a connection is late by the time since objects allowed it, outages counted out", async () => {
  const witness = new Witness();
  const now = (): { fromMs: number; toMs: number } => {
    return { fromMs: performance.now(), toMs: performance.now() };
  };
  witness.see(closed);
  witness.see(closed);
  assert.equal(witness.latenessMs({ packet, ...now() }), undefined, "nothing ever allowed it");
  witness.see(open);
  assert.equal(witness.latenessMs({ packet, ...now() }), 0);
  witness.see(closed);
  const over = witness.outage();
  await sleep(1_000);
  over();
  const during = witness.latenessMs({ packet, ...now() });
  assert.ok(during !== undefined && during < 900, `${during} ms`);
  await sleep(100);
  const late = witness.latenessMs({ packet, ...now() });
  assert.ok(late !== undefined && late >= 99, `${late} ms`);
});

test("the two ends may be at different objects, each for its time", async () => {
  const noWayOut = renderObjects({}, { "pay/p": { podSelector: {}, policyTypes: ["Egress"] } });
  const witness = new Witness();
  witness.see(closed);
  witness.see(closed);
  witness.see(noWayOut);
  const opening = { packet, fromMs: performance.now(), toMs: performance.now() };
  const late = witness.latenessMs(opening);
  assert.ok(late !== undefined && late < 1_000, `${late} ms`);
  await sleep(200);
  const later = { packet, fromMs: performance.now(), toMs: performance.now() };
  const more = witness.latenessMs(later);
  assert.ok(more !== undefined && more >= 199, `${more} ms`);
  const shut = new Witness();
  shut.see([...noWayOut, ...closed]);
  shut.see([...noWayOut, ...closed]);
  assert.equal(shut.latenessMs(later), undefined);
});

test("what the objects say of a pod that has no address yet counts for the pod that gets it", () => {
  const witness = new Witness();
  witness.see(closed);
  witness.see(renderObjects({ pods: { "shop/web": { addresses: [] } } }, {}));
  witness.see(closed);
  const opening = { packet, fromMs: performance.now(), toMs: performance.now() };
  assert.equal(witness.latenessMs(opening), undefined);
  const id = "shop/web";
  const late = witness.latenessMs({ ...opening, pod: { id, uid: `Pod-${id}` } });
  assert.ok(late !== undefined && late < 10_000, `${late} ms`);
  assert.equal(witness.latenessMs({ ...opening, pod: { id, uid: "another" } }), undefined);
});
