import assert from "node:assert/strict";
import { test } from "node:test";
import { renderRejection } from "./rejection.ts";

const macs = "0a150ba20001 0a0000000001";
const back = "0a0000000001 0a150ba20001";

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
}

function hexOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}

function plain(hex: string): string {
  return hex.replaceAll(/\s/g, "");
}

/** RFC 1071: over what is as it should be, the sum is all ones. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

const v4 = "4500 002c 0001 4000 40 06 0000 0a000101 0a60000a";
const syn = "9c40 0050 00000010 00000000 6002 ffff 0000 0000 020405b4";

test("a SYN is answered by a reset that acknowledges it, with right checksums", () => {
  const answer = renderRejection(bytesOf(`${macs} 0800 ${v4} ${syn}`));
  assert.ok(answer !== undefined);
  const ip = answer.subarray(14, 34);
  assert.equal(hexOf(answer.subarray(0, 14)), plain(`${back} 0800`));
  assert.equal(hexOf(ip.subarray(12)), plain("0a60000a 0a000101"));
  assert.equal(sumOf(ip), 0xffff);
  const tcp = answer.subarray(34);
  assert.equal(hexOf(tcp.subarray(0, 14)), plain("0050 9c40 00000000 00000011 50 14"));
  const pseudo = bytesOf("0a60000a 0a000101 0006 0014");
  assert.equal(sumOf(Uint8Array.of(...pseudo, ...tcp)), 0xffff);
});

test("what acknowledges something is reset where its sender is, and a reset not at all", () => {
  const data = syn.replace("00000000 6002", "00001234 6010");
  const answer = renderRejection(bytesOf(`${macs} 0800 ${v4} ${data}`));
  assert.equal(hexOf(answer?.subarray(38, 48)), plain("00001234 00000000 50 04"));
  const reset = syn.replace("6002", "6004");
  assert.equal(renderRejection(bytesOf(`${macs} 0800 ${v4} ${reset}`)), undefined);
});

test("UDP is answered by what quotes it, in both families", () => {
  const udp = "9c40 0035 000a 0000 3f0a";
  const four = bytesOf(`${macs} 0800 4500 001e 0001 4000 40 11 0000 0a000101 0a60000a ${udp}`);
  const answer = renderRejection(four);
  assert.equal(hexOf(answer?.subarray(34, 36)), "0303");
  assert.equal(sumOf(answer?.subarray(34) ?? four), 0xffff);
  assert.equal(hexOf(answer?.subarray(42)), hexOf(four.subarray(14)));
  const ends = "fd000000000000000000000000000001 fd009600000000000000000000000010";
  const six = bytesOf(`${macs} 86dd 60000000 000a 11 40 ${ends} ${udp}`);
  const answer6 = renderRejection(six);
  assert.equal(hexOf(answer6?.subarray(54, 56)), "0104");
  const size = (answer6?.length ?? 0) - 54;
  const [from = "", to = ""] = ends.split(" ");
  const pseudo = bytesOf(`${to} ${from} 0000${size.toString(16).padStart(4, "0")} 0000003a`);
  assert.equal(sumOf(Uint8Array.of(...pseudo, ...(answer6?.subarray(54) ?? []))), 0xffff);
});

test("the answer to a long datagram quotes as much as it may", () => {
  const long = bytesOf(
    `${macs} 0800 4500 05dc 0001 4000 40 11 0000 0a000101 0a60000a 9c40 0035 05c8 0000 ${"00".repeat(1472)}`,
  );
  assert.equal(renderRejection(long)?.length, 14 + 576);
});

test("ICMP, later fragments and what is cut off are not answered", () => {
  for (const text of [
    `${macs} 0800 4500 001c 0001 4000 40 01 0000 0a000101 0a60000a 0800 0000 0001 0001`,
    `${macs} 0800 4500 002c 0001 2010 40 11 0000 0a000101 0a60000a ${syn}`,
    `${macs} 0800 ${v4} 9c40 0050`,
    `${macs} 0806 0001 0800 0604 0001`,
    macs,
  ]) {
    assert.equal(renderRejection(bytesOf(text)), undefined, text);
  }
});
