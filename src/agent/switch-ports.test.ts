import assert from "node:assert/strict";
import { test } from "node:test";
import type { BridgePort } from "../switch/ovs-bridge.ts";
import type { StoredAttachment } from "./state-file.ts";
import {
  attachmentOf,
  attachmentPortConfig,
  differenceOf,
  isAttachmentPort,
  localFacts,
  nextOfport,
  portNameOf,
} from "./switch-ports.ts";

function attachment(fields: Partial<StoredAttachment>): StoredAttachment {
  return {
    port: "iso0",
    endpoint: "shop/web",
    container: "c",
    interface: "eth0",
    netns: "/run/netns/x",
    ofportRequest: 16,
    attachedMs: 5,
    ...fields,
  };
}

function portOf(record: StoredAttachment): BridgePort {
  const { name, externalIds = {} } = attachmentPortConfig(record);
  return {
    name,
    type: "",
    ofport: record.ofportRequest,
    error: undefined,
    externalIds,
    options: {},
  };
}

function portsOf(...records: StoredAttachment[]): Map<string, BridgePort> {
  return new Map(records.map((record) => [record.port, portOf(record)]));
}

test("a port's name is the same for the same interface, another for another, and fits into Linux", () => {
  const name = portNameOf("0123456789abcdef".repeat(4), "eth0");
  assert.equal(name, portNameOf("0123456789abcdef".repeat(4), "eth0"));
  assert.ok(isAttachmentPort(name));
  assert.equal(name.length, 15);
  assert.notEqual(name, portNameOf("0123456789abcdef".repeat(4), "eth1"));
  assert.notEqual(portNameOf("a", "bc"), portNameOf("ab", "c"));
});

test("an attachment can be read back from its port's labels", () => {
  const record = attachment({});
  assert.deepEqual(attachmentOf(portOf(record)), record);
});

function factsOf(
  ports: ReadonlyMap<string, BridgePort>,
  uids?: readonly string[],
): ReturnType<typeof localFacts> {
  return localFacts({ ports, gatewayDomain: "default", uidsOf: () => uids });
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
    assert.deepEqual(factsOf(ports).get("port/shop/web"), {
      kind: "port",
      id: "shop/web",
      ofport: 17,
    });
  }
});

test("only what changed about ports is told to the pipeline", () => {
  const before = factsOf(portsOf(attachment({}), attachment({ port: "iso1", endpoint: "a/b" })));
  const after = factsOf(portsOf(attachment({ ofportRequest: 20 })));
  assert.deepEqual(differenceOf(before, after), {
    upserts: [{ kind: "port", id: "shop/web", ofport: 20 }],
    deletes: [{ kind: "port", id: "a/b" }],
  });
  assert.deepEqual(differenceOf(after, after), { upserts: [], deletes: [] });
});

test("port numbers are not used again before all others were, and never twice at once", () => {
  assert.equal(nextOfport(new Set(), 0), 16);
  assert.equal(nextOfport(new Set([16]), 16), 17);
  assert.equal(nextOfport(new Set([1, 2]), 2), 16);
  assert.equal(nextOfport(new Set([17]), 16), 18);
  assert.equal(nextOfport(new Set([65_000, 16]), 65_000), 17);
  const all = new Set(Array.from({ length: 65_001 }, (_, n) => n));
  assert.throws(() => nextOfport(all, 16), RangeError);
});
