import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { Framer } from "../openflow/framer.ts";
import { type Envelope, type Message, decodeMessage, encodeMessage } from "../openflow/message.ts";
import { Writer } from "../wire/writer.ts";
import { UnavailableError } from "./errors.ts";
import { OpenFlowClient } from "./openflow-client.ts";

function bytesOf(message: Message, xid: number): Uint8Array {
  const writer = new Writer();
  encodeMessage(writer, message, xid);
  return writer.view();
}

const features = {
  kind: "features-reply",
  datapathId: 1n,
  buffers: 0,
  tables: 254,
  auxiliaryId: 0,
  capabilities: 0,
} as const;

/** A switch that says hello and tells its features; what else it does is the test's. */
class FakeSwitch {
  readonly path: string;
  readonly received: Envelope[] = [];
  socket: Socket | undefined;

  constructor(path: string) {
    this.path = path;
  }

  static async start(
    t: TestContext,
    answer: (fake: FakeSwitch, envelope: Envelope) => void,
  ): Promise<FakeSwitch> {
    const folder = mkdtempSync(join(tmpdir(), "isobar-fake-"));
    const fake = new FakeSwitch(join(folder, "switch.sock"));
    const server = createServer((socket) => {
      fake.socket = socket;
      const framer = new Framer();
      socket.on("error", () => socket.destroy());
      socket.on("data", (chunk) => {
        for (const bytes of framer.push(chunk)) {
          const envelope = decodeMessage(bytes);
          fake.received.push(envelope);
          answer(fake, envelope);
        }
      });
    });
    server.listen(fake.path);
    await once(server, "listening");
    t.after(() => {
      fake.socket?.destroy();
      server.close();
      rmSync(folder, { recursive: true });
    });
    return fake;
  }

  send(message: Message, xid: number): void {
    this.socket?.write(bytesOf(message, xid));
  }

  open(options: Partial<Parameters<typeof OpenFlowClient.open>[0]> = {}): Promise<OpenFlowClient> {
    return OpenFlowClient.open({ address: { path: this.path }, ...options });
  }
}

function shakeHands(fake: FakeSwitch, { xid, message }: Envelope): void {
  if (message.kind === "hello") fake.send({ kind: "hello", versions: [6] }, xid);
  if (message.kind === "features-request") fake.send(features, xid);
}

test("a switch that says nothing is given up", async (t) => {
  const fake = await FakeSwitch.start(t, () => undefined);
  await assert.rejects(fake.open({ probeIntervalMs: 20 }), {
    name: "UnavailableError",
    message: /silent for 40 ms/,
  });
});

test("a switch that falls silent is asked for a sign of life, and then given up", async (t) => {
  const fake = await FakeSwitch.start(t, shakeHands);
  await using client = await fake.open({ probeIntervalMs: 20 });
  assert.match((await client.closed).message, /silent/);
  assert.ok(fake.received.some(({ message }) => message.kind === "echo-request"));
});

test("a switch that answers echo requests stays", async (t) => {
  const fake = await FakeSwitch.start(t, (one, envelope) => {
    shakeHands(one, envelope);
    const { xid, message } = envelope;
    if (message.kind === "echo-request") one.send({ ...message, kind: "echo-reply" }, xid);
  });
  await using client = await fake.open({ probeIntervalMs: 20 });
  assert.equal(await Promise.race([client.closed, sleep(150, "open")]), "open");
});

test("the switch's echo requests are answered with their data", async (t) => {
  let barrier = 0;
  const fake = await FakeSwitch.start(t, (one, envelope) => {
    shakeHands(one, envelope);
    const { kind } = envelope.message;
    if (kind === "echo-reply") one.send({ kind: "barrier-reply" }, barrier);
    if (kind !== "barrier-request") return;
    barrier = envelope.xid;
    one.send({ kind: "echo-request", data: Uint8Array.of(1, 2) }, 77);
  });
  await using client = await fake.open();
  await client.barrier();
  const reply = fake.received.find(({ message }) => message.kind === "echo-reply");
  assert.deepEqual(reply, { xid: 77, message: { kind: "echo-reply", data: Uint8Array.of(1, 2) } });
});

test("a busy program does not take its own silence for the switch's", async (t) => {
  const fake = await FakeSwitch.start(t, shakeHands);
  await using client = await fake.open({ probeIntervalMs: 20 });
  const isAsked = (): boolean =>
    fake.received.some(({ message }) => message.kind === "echo-request");
  while (!isAsked()) await sleep(1);
  // The answer arrives while this thread is busy. From here timers come before what is to be read.
  await nextTurn();
  fake.send({ kind: "echo-reply", data: new Uint8Array() }, 1);
  for (const start = performance.now(); performance.now() - start < 50;);
  assert.equal(await Promise.race([client.closed, sleep(1, "open")]), "open");
});

test("a request without an answer fails alone, and a late answer is ignored", async (t) => {
  const fake = await FakeSwitch.start(t, shakeHands);
  await using client = await fake.open({ requestTimeoutMs: 30 });
  await assert.rejects(client.barrier(), /no answer to barrier-request within 30 ms/);
  fake.send({ kind: "barrier-reply" }, fake.received.at(-1)?.xid ?? 0);
  assert.equal(await Promise.race([client.closed, sleep(20, "open")]), "open");
});

test("an answer in parts is put together, whatever the chunks", async (t) => {
  const table = { table: 1, activeFlows: 2, lookups: 3n, matches: 4n };
  const fake = await FakeSwitch.start(t, (one, envelope) => {
    shakeHands(one, envelope);
    const { xid, message } = envelope;
    if (message.kind !== "multipart-request") return;
    const part = { kind: "multipart-reply", part: "tables" } as const;
    const first = bytesOf({ ...part, more: true, items: [table, table] }, xid);
    const last = bytesOf({ ...part, more: false, items: [table] }, xid);
    for (const byte of Buffer.concat([first, last])) one.socket?.write(Uint8Array.of(byte));
  });
  await using client = await fake.open();
  const request = { kind: "multipart-request", part: "tables", request: undefined } as const;
  assert.deepEqual(await client.collect(request), [table, table, table]);
});

test("an answer that cannot be decoded fails its request alone", async (t) => {
  const fake = await FakeSwitch.start(t, (one, envelope) => {
    shakeHands(one, envelope);
    const { xid, message } = envelope;
    if (message.kind === "barrier-request") one.send({ kind: "barrier-reply" }, xid);
    if (message.kind !== "multipart-request") return;
    const unknownPart = Uint8Array.of(0, 99, 0, 0, 0, 0, 0, 0);
    one.send({ kind: "unknown", type: 19, body: unknownPart }, xid);
  });
  await using client = await fake.open();
  await assert.rejects(client.dumpFlows(), { name: "DecodeError", code: "unsupported" });
  await client.barrier();
});

test("bytes that are no messages end the connection", async (t) => {
  const fake = await FakeSwitch.start(t, shakeHands);
  await using client = await fake.open();
  const pending = client.barrier();
  fake.socket?.write(Uint8Array.of(6, 0, 0, 3, 0, 0, 0, 0));
  await assert.rejects(pending, { name: "DecodeError", code: "malformed" });
  assert.equal((await client.closed).name, "DecodeError");
});

test("a closed client fails what waits and what comes after", async (t) => {
  const fake = await FakeSwitch.start(t, shakeHands);
  const client = await fake.open();
  const pending = client.barrier();
  client.close();
  client.close();
  await assert.rejects(pending, UnavailableError);
  await assert.rejects(client.dumpFlows(), UnavailableError);
  assert.match((await client.closed).message, /connection closed/);
});

test("a large bundle waits for a switch that does not read, and fails when it goes away", async (t) => {
  const fake = await FakeSwitch.start(t, (one, envelope) => {
    shakeHands(one, envelope);
    if (envelope.message.kind === "bundle-control") one.socket?.pause();
  });
  await using client = await fake.open();
  const flow = { table: 0, priority: 0, cookie: 0n, match: [], actions: [] };
  const change = { kind: "flow-mod", command: "add", flow } as const;
  const bundle = client.bundle(Array.from({ length: 100_000 }, () => change));
  assert.equal(await Promise.race([bundle.then(() => "done"), sleep(100, "waiting")]), "waiting");
  fake.socket?.destroy();
  await assert.rejects(bundle, UnavailableError);
});
