import assert from "node:assert/strict";
import { test } from "node:test";
import { attachmentOf, isAttachmentPort, nextOfport, portNameOf } from "./switch-ports.ts";
import { attachment, portOf } from "./test-attachment.ts";

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

test("port numbers are not used again before all others were, and never twice at once", () => {
  const next = (used: ReadonlySet<number>, last: number): number =>
    nextOfport((ofport) => used.has(ofport), last);
  assert.equal(next(new Set(), 0), 16);
  assert.equal(next(new Set([16]), 16), 17);
  assert.equal(next(new Set([1, 2]), 2), 16);
  assert.equal(next(new Set([17]), 16), 18);
  assert.equal(next(new Set([65_000, 16]), 65_000), 17);
  const all = new Set(Array.from({ length: 65_001 }, (_, n) => n));
  assert.throws(() => next(all, 16), RangeError);
});
