// Bytes of requests are those of ip(8) 6.1 for the same, as strace(1) shows them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "../net/address.ts";
import { parseMac } from "../net/mac.ts";
import { DecodeError } from "../wire/errors.ts";
import { decodeLink, encodeChangeLink, encodeCreateVeth } from "./link.ts";
import { decodeMessages, encodeRequests } from "./message.ts";
import { encodeAddAddress, encodeReplaceRoute } from "./route.ts";

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

test("a veth pair is asked for as ip link does", () => {
  const request = encodeCreateVeth({
    name: "isoaaaabbbbcccc",
    mtu: 1450,
    group: 1379234,
    peer: { name: "eth0", mtu: 1450, mac: parseMac("0a:00:00:00:00:02"), netns: 4 },
  });
  assert.equal(
    hex(request.body),
    hex(
      bytes(`
        00000000 00000000 00000000 00000000
        0800 0400 aa050000
        0800 1b00 a20b1500
        1400 0300 69736f616161616262626263636363 00
        4c00 1200
          0800 0100 76657468
          4000 0200
            3c00 0100 00000000 00000000 00000000 00000000
              0800 0400 aa050000
              0a00 0100 0a0000000002 0000
              0800 1c00 04000000
              0900 0300 6574683000 000000`),
    ),
  );
  assert.equal(request.type, 16);
  assert.equal(request.flags, 0x600);
});

test("what is to change of an interface is told apart from what stays", () => {
  const raise = encodeChangeLink("eth0", { up: true });
  const name = "0900 0300 6574683000 000000";
  assert.equal(hex(raise.body), hex(bytes(`00000000 00000000 01000000 01000000 ${name}`)));
  const quiet = encodeChangeLink("eth0", { arp: false, linkLocal: false });
  const spec = "1000 1a00 0c00 0a00 0500 0800 01 000000";
  assert.equal(hex(quiet.body), hex(bytes(`00000000 00000000 80000000 80000000 ${name} ${spec}`)));
});

test("addresses and routes are asked for as ip address and ip route do", () => {
  const cases = [
    [
      encodeAddAddress(2, parseAddress("10.9.0.2")),
      "02200000 02000000 0800 0200 0a090002 0800 0100 0a090002",
    ],
    [
      encodeReplaceRoute(2, parsePrefix("169.254.1.1/32")),
      "02200000 fe03fd01 00000000 0800 0100 a9fe0101 0800 0400 02000000",
    ],
    [
      encodeReplaceRoute(2, parsePrefix("0.0.0.0/0"), parseAddress("169.254.1.1")),
      "02000000 fe030001 00000000 0800 0500 a9fe0101 0800 0400 02000000",
    ],
    [
      encodeReplaceRoute(2, parsePrefix("fe80::1/128")),
      "0a800000 fe030001 00000000 1400 0100 fe800000000000000000000000000001 0800 0400 02000000",
    ],
    [
      encodeReplaceRoute(2, parsePrefix("2001:db8:1::/48"), parseAddress("fe80::1")),
      `0a300000 fe030001 00000000 1400 0100 20010db8000100000000000000000000
       1400 0500 fe800000000000000000000000000001 0800 0400 02000000`,
    ],
  ] as const;
  for (const [request, expected] of cases) assert.equal(hex(request.body), hex(bytes(expected)));
  const v6 = encodeAddAddress(2, parseAddress("2001:db8::5"));
  const address = "20010db8000000000000000000000005";
  assert.equal(
    hex(v6.body),
    // The flag that ip(8) puts into the header does the same as the attribute, which holds the newer ones as well.
    hex(bytes(`0a800000 02000000 1400 0200 ${address} 1400 0100 ${address} 0800 0800 02000000`)),
  );
});

test("requests sent together are told apart by their place", () => {
  const raise = encodeChangeLink("lo", { up: true });
  const sent = encodeRequests([raise, raise]);
  const size = sent.length / 2;
  assert.equal(size % 4, 0);
  const header = (index: number): string =>
    hex(bytes(`${hex(Uint8Array.of(size))}000000 1000 0500 0${index}000000 00000000`));
  assert.equal(hex(sent.subarray(0, 16)), header(0));
  assert.equal(hex(sent.subarray(size, size + 16)), header(1));
});

test("a verdict has the kernel's words where it says any", () => {
  const original = "20000000 1000 0506 01000000 39300000";
  const plain = bytes(`24000000 0200 0001 01000000 39300000 00000000 ${original}`);
  assert.deepEqual(decodeMessages(plain), [{ index: 1, verdict: { errno: 0, text: "" } }]);
  const worded = bytes(`30000000 0200 0003 02000000 39300000 efffffff ${original}
    0a00 0100 74616b656e00 0000`);
  assert.deepEqual(decodeMessages(worded), [{ index: 2, verdict: { errno: 17, text: "taken" } }]);
});

test("an interface that the kernel shows is understood", () => {
  const shown = bytes(`30000000 1000 0000 00000000 39300000
    00000100 07000000 43100100 00000000 0900 0300 6574683000 000000 0800 0400 aa050000`);
  shown[0] = shown.length;
  const [message] = decodeMessages(shown);
  assert.ok(message !== undefined && "body" in message);
  assert.deepEqual(decodeLink(message), { index: 7, name: "eth0", mtu: 1450, up: true });
});

test("cut messages are errors wherever they are cut", () => {
  const whole = bytes(`30000000 0200 0003 02000000 39300000 efffffff
    20000000 1000 0506 01000000 39300000 0a00 0100 74616b656e00 0000`);
  for (let size = 1; size < whole.length - 2; size++) {
    assert.throws(() => decodeMessages(whole.subarray(0, size)), DecodeError);
    const resized = whole.slice(0, size);
    if (size >= 4) resized[0] = size;
    if (size >= 4 && size < 36) assert.throws(() => decodeMessages(resized), DecodeError);
  }
});
