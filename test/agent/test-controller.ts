// A controller whose resources a test sets by hand; on the stream it is the real one.
import { EventEmitter, once } from "node:events";
import { MessageServer } from "../../src/runtime/message-server.ts";
import type { MessageStream } from "../../src/runtime/message-stream.ts";
import { EncodedDelta, EncodedResource, keyText } from "../../src/southbound/encoded.ts";
import { decodeAgentMessage } from "../../src/southbound/message-schema.ts";
import type { Ack, Hello } from "../../src/southbound/messages.ts";
import { type Resource, type ResourceKey, resourceKinds } from "../../src/southbound/resources.ts";
import { ControllerSession } from "../../src/southbound/session.ts";

const limits = { maxMessageSize: 64 * 1024 * 1024, maxQueuedSize: 64 * 1024 * 1024 };
const waitMs = 10_000;

export class TestController implements AsyncDisposable {
  readonly hellos: Hello[] = [];
  readonly acks: Ack[] = [];
  /** How many resources each agent was sent, over all deltas. */
  sent = 0;
  readonly #resources = new Map<string, EncodedResource>();
  readonly #sessions = new Map<MessageStream, ControllerSession>();
  readonly #events = new EventEmitter<{ ack: []; hello: [] }>();
  #revision = 1;
  #server: MessageServer | undefined;

  static async listen(path: string): Promise<TestController> {
    const controller = new TestController();
    controller.#server = await MessageServer.listen({
      address: { kind: "unix", path },
      ...limits,
      onStream: (stream) => controller.#accept(stream),
    });
    return controller;
  }

  get revision(): number {
    return this.#revision;
  }

  resources(): readonly Resource[] {
    return [...this.#resources.values()].map(({ resource }) => resource);
  }

  /** Changes the state and tells the agents. */
  change(upserts: readonly Resource[], deletes: readonly ResourceKey[] = []): void {
    this.#revision += 1;
    const encoded = upserts.map((resource) => new EncodedResource(resource));
    for (const one of encoded) this.#resources.set(keyText(one.resource), one);
    for (const key of deletes) this.#resources.delete(keyText(key));
    const delta = EncodedDelta.of(encoded, deletes);
    for (const [stream, session] of this.#sessions) {
      stream.write(session.change(this.#revision, delta));
    }
  }

  /** Settles when every agent, at least one, has confirmed the newest state; gives the last one's word. */
  async confirmed(): Promise<Ack> {
    for (;;) {
      const sessions = [...this.#sessions.values()];
      const ack = this.acks.at(-1);
      const all = sessions.every(({ confirmed }) => confirmed === this.#revision);
      if (ack?.revision === this.#revision && all) return ack;
      await once(this.#events, "ack", { signal: AbortSignal.timeout(waitMs) });
    }
  }

  async greeted(count: number): Promise<void> {
    while (this.hellos.length < count) {
      await once(this.#events, "hello", { signal: AbortSignal.timeout(waitMs) });
    }
  }

  /** Cuts every stream, in the middle of a line if told so. */
  drop(halfLine = ""): void {
    for (const stream of this.#sessions.keys()) {
      if (halfLine !== "") stream.write([halfLine]);
      stream.close(halfLine === "" ? new Error("dropped") : undefined);
    }
  }

  /** Sends text as it is. */
  inject(text: string): void {
    for (const stream of this.#sessions.keys()) stream.write([text]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
  }

  #accept(stream: MessageStream): void {
    const session = new ControllerSession({ controller: "test", nowMs: performance.now() });
    this.#sessions.set(stream, session);
    stream.start({
      onMessage: (message) => {
        const step = session.receive(decodeAgentMessage(message), performance.now());
        stream.write(step.send);
        if (step.event?.type === "hello") this.#greet(stream, session, step.event);
        if (step.event?.type === "ack") {
          this.acks.push(step.event);
          this.#events.emit("ack");
        }
        if (step.close !== undefined) stream.close(new Error(step.close));
      },
      onClose: () => this.#sessions.delete(stream),
    });
  }

  #greet(stream: MessageStream, session: ControllerSession, hello: Hello): void {
    const ordered = [...this.#resources.values()].toSorted(
      (a, b) => resourceKinds.indexOf(a.resource.kind) - resourceKinds.indexOf(b.resource.kind),
    );
    const pieces = session.start(this.#revision, EncodedDelta.of(ordered, []));
    this.sent += pieces.join("").match(/"kind":/g)?.length ?? 0;
    stream.write(pieces);
    this.hellos.push(hello);
    this.#events.emit("hello");
  }
}
