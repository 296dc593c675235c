import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConnectionError } from "./errors.ts";
import { MessageServer } from "./message-server.ts";
import { type MessageStream, connectStream } from "./message-stream.ts";

const limits = { maxMessageSize: 1000, maxQueuedSize: 100_000 };

function folder(t: { after(fn: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), "isobar-stream-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** What a stream receives, and how it ends. */
function record(stream: MessageStream): {
  messages: unknown[];
  closed: Promise<Error | undefined>;
} {
  const messages: unknown[] = [];
  const closed = new Promise<Error | undefined>((resolve) => {
    stream.start({ onMessage: (message) => messages.push(message), onClose: resolve });
  });
  return { messages, closed };
}

test("messages arrive in order in both directions, and a clean end has no reason", async (t) => {
  const address = { kind: "unix", path: join(folder(t), "s") } as const;
  await using server = await MessageServer.listen({
    address,
    ...limits,
    onStream: (stream) =>
      stream.start({
        onMessage: (message) => stream.send({ echo: message }),
        onClose: () => undefined,
      }),
  });
  assert.equal(server.port, undefined);
  const stream = await connectStream({ address, ...limits, timeoutMs: 1000 });
  const { messages, closed } = record(stream);
  stream.send({ n: 1 });
  stream.send({ n: 2, text: "ünï\n" });
  stream.close();
  assert.equal(await closed, undefined);
  assert.deepEqual(messages, [{ echo: { n: 1 } }, { echo: { n: 2, text: "ünï\n" } }]);
});

test("the socket belongs to its owner alone, and a file left by a killed process is replaced", async (t) => {
  const path = join(folder(t), "s");
  const address = { kind: "unix", path } as const;
  const options = { address, ...limits, onStream: () => undefined };
  {
    await using first = await MessageServer.listen(options);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await assert.rejects(MessageServer.listen(options), /in use by another process/);
    await first.close();
  }
  // A closed server removes the file of its own name alone, so this one is left behind.
  const killed = createServer().listen(`${path}.old`);
  await once(killed, "listening");
  renameSync(`${path}.old`, path);
  killed.close();
  await once(killed, "close");
  await assert.rejects(connectStream({ address, ...limits, timeoutMs: 1000 }), /ECONNREFUSED/);
  await using again = await MessageServer.listen(options);
  (await connectStream({ address, ...limits, timeoutMs: 1000 })).close();
  assert.equal(again.port, undefined);
});

test("wrong bytes, too large messages and half a message close the stream with the reason", async (t) => {
  const path = join(folder(t), "s");
  const reasons: (Error | undefined)[] = [];
  let told = Promise.withResolvers<undefined>();
  await using server = await MessageServer.listen({
    address: { kind: "unix", path },
    ...limits,
    onStream: (stream) =>
      stream.start({
        onMessage: () => undefined,
        onClose: (reason) => {
          reasons.push(reason);
          told.resolve(undefined);
        },
      }),
  });
  assert.equal(server.port, undefined);
  for (const bytes of ["nonsense\n", `["${"x".repeat(1001)}"]\n`, '{"half":']) {
    told = Promise.withResolvers();
    connect(path).end(bytes);
    await told.promise;
  }
  assert.match(String(reasons[0]), /expected a JSON object/);
  assert.match(String(reasons[1]), /at most 1000 bytes/);
  assert.match(String(reasons[2]), /expected the rest of a JSON value/);
});

test("a handler that throws closes its stream alone", async (t) => {
  const address = { kind: "unix", path: join(folder(t), "s") } as const;
  await using server = await MessageServer.listen({
    address,
    ...limits,
    onStream: (stream) => {
      stream.send({ hello: true });
      stream.start({ onMessage: () => undefined, onClose: () => undefined });
    },
  });
  assert.equal(server.port, undefined);
  const stream = await connectStream({ address, ...limits, timeoutMs: 1000 });
  const reason = await new Promise<Error | undefined>((resolve) => {
    stream.start({
      onMessage: () => {
        throw new TypeError("not understood");
      },
      onClose: resolve,
    });
  });
  assert.equal(reason?.message, "not understood");
});

test("a peer that does not read is cut off", async (t) => {
  const path = join(folder(t), "s");
  const closed = Promise.withResolvers<Error | undefined>();
  await using server = await MessageServer.listen({
    address: { kind: "unix", path },
    ...limits,
    onStream: (stream) => {
      stream.start({ onMessage: () => undefined, onClose: closed.resolve });
      for (let n = 0; n < 2000; n++) stream.send({ n, filler: "x".repeat(900) });
    },
  });
  assert.equal(server.port, undefined);
  const idle = connect(path);
  idle.pause();
  assert.match(String(await closed.promise), /bytes unread/);
  idle.destroy();
});

test("an address that nobody answers on is a ConnectionError", async (t) => {
  const path = join(folder(t), "s");
  const address = { kind: "unix", path } as const;
  await assert.rejects(connectStream({ address, ...limits, timeoutMs: 1000 }), ConnectionError);
  writeFileSync(path, "");
  await assert.rejects(connectStream({ address, ...limits, timeoutMs: 1000 }), ConnectionError);
});
