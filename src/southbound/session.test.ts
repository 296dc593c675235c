import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DecodeError } from "../wire/errors.ts";
import { AgentSession } from "./agent-session.ts";
import { digestOf } from "./digest.ts";
import { EncodedDelta, EncodedResource, keyText } from "./encoded.ts";
import { decodeAgentMessage, decodeControllerMessage } from "./message-schema.ts";
import { type AgentMessage, type ControllerMessage, protocolVersion } from "./messages.ts";
import type { Delta, Resource } from "./resources.ts";
import { ControllerSession } from "./session.ts";

function group(id: string, identities: readonly string[]): Resource {
  return { kind: "group", id, identities, networks: [] };
}

function encodedDelta(delta: Delta): EncodedDelta {
  return EncodedDelta.of(
    delta.upserts.map((resource) => new EncodedResource(resource)),
    delta.deletes,
  );
}

function fullOf(state: ReadonlyMap<string, Resource>): EncodedDelta {
  return encodedDelta({ upserts: [...state.values()], deletes: [] });
}

function messagesOf(pieces: readonly string[]): ControllerMessage[] {
  const lines = pieces
    .join("")
    .split("\n")
    .filter((line) => line !== "");
  return lines.map((line) => decodeControllerMessage(JSON.parse(line)));
}

function hello(have: Readonly<Record<string, string>> = {}): AgentMessage {
  return { type: "hello", version: protocolVersion, node: "n", have };
}

function freshAgent(): AgentSession {
  return new AgentSession({ node: "n", have: {}, nowMs: 0 });
}

function apply(state: Map<string, Resource>, delta: Delta): void {
  for (const key of delta.deletes) state.delete(keyText(key));
  for (const resource of delta.upserts) state.set(keyText(resource), resource);
}

const change = fc.record({
  id: fc.constantFrom("a", "b", "c"),
  identities: fc.option(fc.array(fc.constantFrom("x", "y"), { maxLength: 2 }), { nil: undefined }),
});
const anyStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("change" as const), change }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("deliver" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("ack" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("repeat" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const) }) },
);

/** A controller and an agent with a stream between them that a test moves message by message. */
class World {
  readonly truth = new Map<string, Resource>();
  readonly held = new Map<string, Resource>();
  revision = 1;
  #stream: ControllerMessage[] = [];
  #last: ControllerMessage | undefined;
  #unconfirmed: number[] = [];
  #controller!: ControllerSession;
  #agent!: AgentSession;

  constructor() {
    this.connect();
  }

  connect(): void {
    const have = Object.fromEntries(
      [...this.held].map(([key, resource]) => [key, digestOf(resource)]),
    );
    this.#controller = new ControllerSession({ controller: "c", nowMs: 0, window: 2 });
    this.#agent = new AgentSession({ node: "n", have, nowMs: 0 });
    this.#unconfirmed = [];
    this.#last = undefined;
    const greeting = this.#controller.receive(decodeAgentMessage(this.#agent.hello), 0);
    assert.equal(greeting.event?.type, "hello");
    this.#stream = messagesOf(this.#controller.start(this.revision, fullOf(this.truth)));
  }

  change(id: string, identities: readonly string[] | undefined): void {
    this.revision += 1;
    const delta =
      identities === undefined
        ? { upserts: [], deletes: [{ kind: "group", id } as const] }
        : { upserts: [group(id, identities)], deletes: [] };
    apply(this.truth, delta);
    this.#stream.push(...messagesOf(this.#controller.change(this.revision, encodedDelta(delta))));
  }

  deliver(): void {
    const message = this.#stream.shift();
    if (message !== undefined) this.#receive(message);
  }

  /** The stream never repeats; an agent that is told something twice must not mind. */
  repeat(): void {
    if (this.#last?.type === "delta") this.#receive(this.#last);
  }

  ack(): void {
    const revision = this.#unconfirmed.shift();
    if (revision === undefined) return;
    for (const message of this.#agent.confirm(revision, [])) {
      const answer = this.#controller.receive(decodeAgentMessage(message), 0);
      assert.equal(answer.close, undefined);
      this.#stream.push(...messagesOf(answer.send));
    }
  }

  drain(): void {
    while (this.#stream.length > 0 || this.#unconfirmed.length > 0) {
      this.deliver();
      this.ack();
    }
  }

  get confirmed(): number {
    return this.#controller.confirmed;
  }

  #receive(message: ControllerMessage): void {
    this.#last = message;
    const taken = this.#agent.receive(message, 0);
    assert.equal(taken.close, undefined);
    if (taken.delta === undefined) return;
    apply(this.held, taken.delta);
    this.#unconfirmed.push(taken.delta.revision);
  }
}

test("whatever is cut, repeated and late, the agent ends with the controller's state", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      const world = new World();
      for (const one of steps) {
        if (one.kind === "change") world.change(one.change.id, one.change.identities);
        else if (one.kind === "cut") world.connect();
        else world[one.kind]();
      }
      world.drain();
      assert.deepEqual(world.held, world.truth);
      assert.ok(world.confirmed <= world.revision);
    }),
  );
});

test("a delta is sent while the window has room, and what waits for it is merged", () => {
  const session = new ControllerSession({ controller: "c", nowMs: 0, window: 2 });
  session.receive(hello(), 0);
  assert.equal(messagesOf(session.start(1, EncodedDelta.empty)).length, 2);
  const changes = [1, 2, 3, 4].map((n) =>
    messagesOf(
      session.change(1 + n, encodedDelta({ upserts: [group("a", [`${n}`])], deletes: [] })),
    ),
  );
  assert.deepEqual(
    changes.map((messages) => messages.length),
    [1, 0, 0, 0],
  );
  const step = session.receive({ type: "ack", revision: 1, errors: [] }, 0);
  const [merged, ...more] = messagesOf(step.send);
  assert.deepEqual(merged, {
    type: "delta",
    sequence: 3,
    revision: 5,
    upserts: [group("a", ["4"])],
    deletes: [],
  });
  assert.deepEqual(more, []);
});

test("what is applied and not yet acknowledged keeps nothing from being sent", () => {
  const session = new ControllerSession({ controller: "c", nowMs: 0, window: 2 });
  session.receive(hello(), 0);
  session.start(1, EncodedDelta.empty);
  const tell = (revision: number): ControllerMessage[] =>
    messagesOf(
      session.change(
        revision,
        encodedDelta({ upserts: [group("a", [`${revision}`])], deletes: [] }),
      ),
    );
  const revisionsOf = (messages: readonly ControllerMessage[]): number[] =>
    messages.flatMap((message) => (message.type === "delta" ? [message.revision] : []));
  assert.deepEqual(
    [2, 3].map((revision) => revisionsOf(tell(revision))),
    [[2], []],
  );
  const applied = (revision: number): number[] =>
    revisionsOf(messagesOf(session.receive({ type: "applied", revision }, 0).send));
  assert.deepEqual(applied(1), [3]);
  assert.deepEqual(
    [4, 5].map((revision) => revisionsOf(tell(revision))),
    [[], []],
  );
  assert.deepEqual(applied(3), [5]);
  assert.equal(session.confirmed, 0);
  const step = session.receive({ type: "ack", revision: 3, errors: [] }, 0);
  assert.deepEqual([step.close, session.confirmed], [undefined, 3]);
  // One that comes late opens the window no further.
  assert.deepEqual(applied(2), []);
  assert.deepEqual(
    [6, 7].map((revision) => revisionsOf(tell(revision))),
    [[6], []],
  );
});

test("an agent that comes back is sent only what differs, and an empty delta when nothing does", () => {
  const session = new ControllerSession({ controller: "c", nowMs: 0 });
  const kept = group("kept", []);
  session.receive(hello({ "group/kept": digestOf(kept), "group/old": "0" }), 0);
  const full = encodedDelta({ upserts: [kept, group("new", [])], deletes: [] });
  assert.deepEqual(messagesOf(session.start(7, full))[1], {
    type: "delta",
    sequence: 1,
    revision: 7,
    upserts: [group("new", [])],
    deletes: [{ kind: "group", id: "old" }],
  });
  const again = new ControllerSession({ controller: "c", nowMs: 0 });
  again.receive(hello({ "group/kept": digestOf(kept) }), 0);
  const [, delta] = messagesOf(again.start(8, encodedDelta({ upserts: [kept], deletes: [] })));
  assert.deepEqual(delta, { type: "delta", sequence: 1, revision: 8, upserts: [], deletes: [] });
});

test("nothing is sent to an agent before its hello was answered", () => {
  const session = new ControllerSession({ controller: "c", nowMs: 0 });
  const delta = encodedDelta({ upserts: [group("a", [])], deletes: [] });
  assert.deepEqual(session.change(2, delta), []);
  assert.deepEqual(session.start(2, delta), []);
  session.receive(hello(), 0);
  assert.deepEqual(session.change(3, delta), []);
});

test("another version is refused on both sides", () => {
  const controller = new ControllerSession({ controller: "c", nowMs: 0 });
  const step = controller.receive({ type: "hello", version: 99, node: "n", have: {} }, 0);
  assert.equal(step.event, undefined);
  assert.match(step.close ?? "", /version 1, the agent 99/);
  assert.equal(messagesOf(step.send)[0]?.type, "refuse");
  const agent = new AgentSession({ node: "n", have: {}, nowMs: 0 });
  const answer = agent.receive({ type: "welcome", version: 99, controller: "c" }, 0);
  assert.match(answer.close ?? "", /version 1, the controller 99/);
});

test("messages out of place end the session", () => {
  const delta = { type: "delta", revision: 1, upserts: [], deletes: [] } as const;
  const welcome = { type: "welcome", version: protocolVersion, controller: "c" } as const;
  const greeted = (): AgentSession => {
    const session = freshAgent();
    session.receive(welcome, 0);
    return session;
  };
  assert.match(
    freshAgent().receive({ ...delta, sequence: 1 }, 0).close ?? "",
    /before the welcome/,
  );
  assert.match(greeted().receive(welcome, 0).close ?? "", /second welcome/);
  assert.match(greeted().receive({ ...delta, sequence: 2 }, 0).close ?? "", /expected delta 1/);
  assert.match(freshAgent().receive({ type: "refuse", reason: "no" }, 0).close ?? "", /no$/);
  const controller = new ControllerSession({ controller: "c", nowMs: 0 });
  controller.receive(hello(), 0);
  assert.match(controller.receive(hello(), 0).close ?? "", /twice/);
  const early = controller.receive({ type: "ack", revision: 3, errors: [] }, 0);
  assert.match(early.close ?? "", /revision 3, outstanding: none/);
});

test("a silent peer is asked for a sign of life, and given up when none comes", () => {
  const keepalive = { pingAfterMs: 10, deadAfterMs: 30 };
  const sessions = [
    new AgentSession({ node: "n", have: {}, nowMs: 0, keepalive }),
    new ControllerSession({ controller: "c", nowMs: 0, keepalive }),
  ];
  for (const session of sessions) {
    assert.equal(session.tick(9).send.length, 0);
    assert.equal(session.tick(10).send.length, 1);
    assert.equal(session.tick(11).send.length, 0);
    session.receive({ type: "pong" }, 15);
    assert.equal(session.tick(24).send.length, 0);
    assert.equal(session.tick(25).send.length, 1);
    assert.equal(session.tick(44).close, undefined);
    assert.match(session.tick(45).close ?? "", /nothing was heard/);
  }
});

test("an agent leaves a controller that answers and has nothing to say", () => {
  const session = freshAgent();
  session.receive({ type: "welcome", version: protocolVersion, controller: "c" }, 0);
  session.receive({ type: "pong" }, 29_000);
  assert.equal(session.tick(29_999).close, undefined);
  assert.match(session.tick(30_000).close ?? "", /nothing to apply/);
  const served = freshAgent();
  served.receive({ type: "welcome", version: protocolVersion, controller: "c" }, 0);
  const empty = { type: "delta", sequence: 1, revision: 1, upserts: [], deletes: [] } as const;
  assert.equal(served.receive(empty, 0).completes, true);
  served.receive({ type: "pong" }, 29_000);
  assert.equal(served.tick(30_000).close, undefined);
});

test("any JSON is a message or a DecodeError that names the place", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const decode of [decodeAgentMessage, decodeControllerMessage]) {
        try {
          decode(value);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
        }
      }
    }),
  );
  const bad = { ...group("g", []), identities: [7] };
  assert.throws(
    () =>
      decodeControllerMessage({
        type: "delta",
        sequence: 1,
        revision: 1,
        upserts: [bad],
        deletes: [],
      }),
    /group g: \/identities\/0 must be string/,
  );
  assert.throws(
    () => decodeAgentMessage({ type: "helo" }),
    /expected type to be one of hello, ack/,
  );
});
