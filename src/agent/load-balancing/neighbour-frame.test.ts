import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type NeighbourQuestion,
  decodeNeighbour,
  encodeAnnouncement,
  encodeAnswer,
} from "./neighbour-frame.ts";

const mac = "0a:00:00:00:00:01";
const asker = "0a:00:00:00:00:02";

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
}

const whoHas = bytes(`
  ffffffffffff 0a0000000002 0806
  0001 0800 06 04 0001  0a0000000002 ac1e0001  000000000000 ac1e00e0`);
const solicitation = bytes(`
  3333ff0000e0 0a0000000002 86dd
  60000000 0020 3a ff  fd003000000000000000000000000001  ff0200000000000000000001ff0000e0
  87 00 0000 00000000  fd0030000000000000000000000000e0  01 01 0a0000000002`);

test("questions for an address are read", () => {
  assert.deepEqual(decodeNeighbour(whoHas), {
    kind: "question",
    family: 4,
    target: "172.30.0.224",
    asker: "172.30.0.1",
    askerMac: asker,
  });
  assert.deepEqual(decodeNeighbour(solicitation), {
    kind: "question",
    family: 6,
    target: "fd00:3000::e0",
    asker: "fd00:3000::1",
    askerMac: asker,
  });
});

test("answers say who has it to the one who asked", () => {
  const question = decodeNeighbour(whoHas);
  assert.ok(question?.kind === "question");
  const answer = bytes(`
    0a0000000002 0a0000000001 0806
    0001 0800 06 04 0002  0a0000000001 ac1e00e0  0a0000000002 ac1e0001`);
  assert.deepEqual(encodeAnswer(question, mac), answer);
  const six = decodeNeighbour(solicitation);
  assert.ok(six?.kind === "question");
  // The checksum was computed by another program.
  const advertisement = bytes(
    `
    0a0000000002 0a0000000001 86dd
    60000000 0020 3a ff  fd0030000000000000000000000000e0  fd003000000000000000000000000001
    88 00 CCCC 60000000  fd0030000000000000000000000000e0  02 01 0a0000000001`.replace(
      "CCCC",
      "82de",
    ),
  );
  assert.deepEqual(encodeAnswer(six, mac), advertisement);
});

test("one that has no address yet is answered to everybody", () => {
  const question: NeighbourQuestion = {
    kind: "question",
    family: 6,
    target: "fd00::1",
    asker: undefined,
    askerMac: asker,
  };
  const frame = encodeAnswer(question, mac);
  assert.equal(Buffer.from(frame.subarray(0, 6)).toString("hex"), "333300000001");
  // Override, not solicited.
  assert.equal(frame[58], 0x20);
});

test("announcements are claims, and so are the answers of others", () => {
  for (const target of ["172.30.0.224", "fd00::1"]) {
    const frames = encodeAnnouncement(target, mac);
    assert.equal(frames.length, target.includes(":") ? 1 : 2);
    for (const frame of frames) {
      const family = target.includes(":") ? 6 : 4;
      assert.deepEqual(decodeNeighbour(frame), { kind: "claim", family, target, mac });
    }
  }
});

test("what is cut off or something else is nothing", () => {
  for (const frame of [whoHas, solicitation]) {
    for (let size = 0; size < (frame === whoHas ? frame.length : frame.length - 8); size++) {
      assert.equal(decodeNeighbour(frame.subarray(0, size)), undefined, String(size));
    }
  }
  const routed = Uint8Array.from(solicitation);
  routed[21] = 64;
  assert.equal(decodeNeighbour(routed), undefined);
});
