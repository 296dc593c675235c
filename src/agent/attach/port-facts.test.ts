import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LocalDelta, PortsFact } from "../../pipeline/fact.ts";
import type { BridgePort } from "../../switch/bridge-ports.ts";
import { PortFacts } from "./port-facts.ts";
import type { StoredAttachment } from "../state-file.ts";
import { attachment, portOf } from "./test-attachment.ts";

function portsOf(...records: StoredAttachment[]): Map<string, BridgePort> {
  return new Map(records.map((record) => [record.port, portOf(record)]));
}

/** What a consumer of the changes holds. */
class Held {
  readonly facts = new Map<string, PortsFact>();

  take({ upserts, deletes }: LocalDelta): void {
    for (const { kind, id } of deletes)
      assert.ok(this.facts.delete(`${kind}/${id}`), `${kind}/${id}`);
    for (const fact of upserts) {
      if (fact.kind !== "lookup" && fact.kind !== "clock")
        this.facts.set(`${fact.kind}/${fact.id}`, fact);
    }
  }
}

function factsOf(
  ports: ReadonlyMap<string, BridgePort>,
  uids?: readonly string[],
): ReadonlyMap<string, PortsFact> {
  const held = new Held();
  const facts = new PortFacts({ gatewayDomain: "default", uidsOf: () => uids });
  held.take(facts.update(ports.keys(), ports));
  return held.facts;
}

test("a container is no endpoint any more once its name is another object's", () => {
  const ports = portsOf(attachment({ uid: "old" }));
  assert.equal(factsOf(ports, ["old"]).size, 1);
  assert.equal(factsOf(ports, ["mirror", "old"]).size, 1);
  assert.equal(factsOf(ports, ["new"]).size, 0);
  assert.equal(factsOf(ports, []).size, 0);
  // Not known at the moment: there is nothing that it could get.
  assert.equal(factsOf(ports).size, 1);
  assert.equal(factsOf(portsOf(attachment({})), ["new"]).size, 1);
});

test("a port without labels, or without a number, is no fact", () => {
  const labelled = portOf(attachment({}));
  const ports = new Map<string, BridgePort>([
    ["a", { ...labelled, externalIds: {} }],
    ["b", { ...labelled, ofport: undefined }],
  ]);
  assert.equal(factsOf(ports).size, 0);
});

test("of two ports of one endpoint the later counts, in whatever order they are seen", () => {
  const old = attachment({ port: "iso1", ofportRequest: 16, attachedMs: 5 });
  const young = attachment({ port: "iso2", ofportRequest: 17, attachedMs: 6 });
  for (const ports of [portsOf(old, young), portsOf(young, old)]) {
    const expected = { kind: "port", id: "shop/web", ofport: 17 };
    assert.deepEqual(factsOf(ports).get("port/shop/web"), expected);
  }
});

test("only what changed about ports is told to the pipeline", () => {
  const facts = new PortFacts({ gatewayDomain: "default", uidsOf: () => undefined });
  facts.update(
    ["iso0", "iso1"],
    portsOf(attachment({}), attachment({ port: "iso1", endpoint: "a/b" })),
  );
  const after = portsOf(attachment({ ofportRequest: 20 }));
  const { upserts, deletes } = facts.update(["iso0", "iso1"], after);
  assert.deepEqual(upserts, [{ kind: "port", id: "shop/web", ofport: 20 }]);
  assert.deepEqual(deletes, [{ kind: "port", id: "a/b" }]);
  const again = facts.update(["iso0", "iso1"], after);
  assert.equal(again.upserts.length + again.deletes.length, 0);
  assert.equal(facts.endpointAt(20), "shop/web");
  assert.equal(facts.endpointAt(16), undefined);
});

const portName = fc.constantFrom("iso0", "iso1", "iso2", "isobar-vxlan", "isobar-gw");
const step = fc.oneof(
  fc.record({
    kind: fc.constant("port" as const),
    name: portName,
    endpoint: fc.constantFrom("a", "b"),
    uid: fc.option(fc.constantFrom("u", "v"), { nil: undefined }),
    ofport: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    attachedMs: fc.integer({ min: 1, max: 2 }),
  }),
  fc.record({ kind: fc.constant("gone" as const), name: portName }),
  fc.record({
    kind: fc.constant("uids" as const),
    endpoint: fc.constantFrom("a", "b"),
    uids: fc.option(fc.subarray(["u", "v"]), { nil: undefined }),
  }),
);

test("what is told bit by bit comes to what is told at once", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const ports = new Map<string, BridgePort>();
      const uids = new Map<string, readonly string[]>();
      const options = { gatewayDomain: "default", uidsOf: (id: string) => uids.get(id) };
      const facts = new PortFacts(options);
      const held = new Held();
      for (const one of steps) {
        if (one.kind === "uids") {
          if (one.uids === undefined) uids.delete(one.endpoint);
          else uids.set(one.endpoint, one.uids);
          held.take(facts.recheck([one.endpoint]));
        } else {
          if (one.kind === "gone") ports.delete(one.name);
          else {
            const { name: port, endpoint, uid, ofport, attachedMs } = one;
            const named = uid === undefined ? {} : { uid };
            const record = attachment({ port, endpoint, attachedMs, ...named });
            ports.set(port, { ...portOf(record), ofport });
          }
          held.take(facts.update([one.name], ports));
        }
        const whole = new Held();
        const fresh = new PortFacts(options);
        whole.take(fresh.update(ports.keys(), ports));
        assert.deepEqual(
          new Set(held.facts.values()),
          new Set(whole.facts.values()),
          JSON.stringify(one),
        );
        assert.equal(facts.tunnel, fresh.tunnel);
      }
    }),
  );
});
