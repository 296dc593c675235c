import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeLink, encodeGetLink } from "../netlink/link.ts";
import { KernelError } from "./errors.ts";
import { type NamedRequest, NetlinkSocket } from "./netlink-socket.ts";
import { inNetns } from "./system-calls.ts";

function look(name: string, tolerated: readonly string[] = []): NamedRequest {
  return { what: `looking at ${name}`, ...encodeGetLink(name), tolerated };
}

test("the kernel answers what it is asked together and one after the other", async () => {
  using socket = new NetlinkSocket();
  const answers = await Promise.all([
    socket.request([look("lo"), look("lo")]),
    socket.request([]),
    socket.request([look("lo")]),
  ]);
  const names = answers.map((each) => each.map((message) => decodeLink(message)?.name));
  assert.deepEqual(names, [["lo", "lo"], [], ["lo"]]);
});

test("what the kernel refuses is named, and what comes behind it is done", async () => {
  using socket = new NetlinkSocket();
  await assert.rejects(socket.request([look("lo"), look("nothing0"), look("lo")]), (error) => {
    assert.ok(error instanceof KernelError);
    assert.equal(error.code, "ENODEV");
    assert.match(error.message, /^looking at nothing0: /);
    return true;
  });
  const answers = await socket.request([look("nothing0", ["ENODEV"]), look("lo")]);
  assert.deepEqual(
    answers.map(({ index }) => index),
    [1],
  );
});

test("a namespace that is not there is an error, and the thread stays where it was", async () => {
  assert.throws(() => inNetns("/run/netns/none", () => assert.fail("inside")), KernelError);
  using socket = new NetlinkSocket();
  const [shown] = await socket.request([look("lo")]);
  assert.ok(shown !== undefined && decodeLink(shown)?.index === 1);
});
