// The controller's side of a session with one switch, and the requests that Isobar makes.
import type { NetConnectOpts } from "node:net";
import type { ErrorMessage } from "../openflow/error-message.ts";
import type { FlowEntry, FlowFilter, FlowRemoved } from "../openflow/flow-entry.ts";
import { type BundleAdd, type Message, openFlow15 } from "../openflow/message.ts";
import type { MeterMod } from "../openflow/meter.ts";
import type { FlushZone } from "../openflow/nicira-message.ts";
import type { MultipartRequest, MultipartReply, Part, PartItem } from "../openflow/multipart.ts";
import type { PacketIn, PacketIn2, PacketOut } from "../openflow/packet.ts";
import type { PortStatus } from "../openflow/port.ts";
import type { FeaturesReply } from "../openflow/session-message.ts";
import { OpenFlowError, UnavailableError } from "./errors.ts";
import { sendBundle } from "./openflow-bundle.ts";
import { OpenFlowConnection } from "./openflow-connection.ts";

/** What the switch tells unasked. An error here belongs to a message that was sent without waiting. */
export type SwitchEvent = PacketIn | PacketIn2 | PortStatus | FlowRemoved | ErrorMessage;

export interface OpenFlowClientOptions {
  /** `{path}` of a Unix socket (`<bridge>.mgmt`), or `{host, port}`. */
  readonly address: NetConnectOpts;
  /** How long the connection may take to come about, and a request to make progress. */
  readonly requestTimeoutMs?: number;
  /** After this much silence the switch is asked for a sign of life, and after as much again it is given up. */
  readonly probeIntervalMs?: number;
  /** Called in order. Without it the switch is not asked for packets, port changes and removed flows. */
  readonly onEvent?: (event: SwitchEvent) => void;
  /** Controller actions with this id send their packets here. */
  readonly controllerId?: number;
}

const defaults = { requestTimeoutMs: 30_000, probeIntervalMs: 15_000 };
const wholePacket = 0xffff;

/** A change that a bundle can hold. */
export type Change = BundleAdd["message"];

function isSwitchEvent(message: Message): message is SwitchEvent {
  const { kind } = message;
  if (kind === "packet-in" || kind === "packet-in2" || kind === "port-status") return true;
  return kind === "flow-removed" || kind === "error";
}

function isReplyOf<P extends Part>(
  message: Message,
  part: P,
): message is Message & MultipartReply<P> {
  return message.kind === "multipart-reply" && message.part === part;
}

/** Asks a silent switch for a sign of life until the connection ends. */
function keepAlive(connection: OpenFlowConnection, peer: string, intervalMs: number): void {
  let askedMs: number | undefined;
  const isDead = (): boolean => askedMs !== undefined && connection.lastHeardMs < askedMs;
  const timer = setInterval(() => {
    if (isDead()) {
      // An answer may have come while this program was busy: it is read before the next turn ends.
      setImmediate(() => {
        if (!isDead()) return;
        connection.end(new UnavailableError(`${peer}: silent for ${2 * intervalMs} ms`));
      });
    } else if (performance.now() - connection.lastHeardMs >= intervalMs) {
      askedMs = performance.now();
      connection.send({ kind: "echo-request", data: new Uint8Array() });
    }
  }, intervalMs);
  void connection.closed.then(() => clearInterval(timer));
}

/** Each side says hello at once and then speaks the highest version of both: section 6.3.1. */
async function shakeHands(
  connection: OpenFlowConnection,
  hello: Promise<Message>,
  peer: string,
): Promise<FeaturesReply> {
  connection.send({ kind: "hello", versions: [openFlow15] });
  const answer = await Promise.race([hello, connection.closed]);
  if (answer instanceof Error) throw answer;
  if (answer.kind === "error") {
    throw new OpenFlowError(peer, answer, { kind: "hello", versions: [openFlow15] });
  }
  if (answer.kind !== "hello") {
    throw new UnavailableError(`${peer}: expected a hello, got ${answer.kind}`);
  }
  if (answer.versions !== undefined && !answer.versions.includes(openFlow15)) {
    throw new UnavailableError(
      `${peer}: expected OpenFlow 1.5, which the bridge does not offer: add OpenFlow15 to its column "protocols"`,
    );
  }
  const features = await connection.request({ kind: "features-request" });
  if (features.kind === "features-reply") return features;
  throw new UnavailableError(`${peer}: expected the switch's features, got ${features.kind}`);
}

/** Management connections get no packets, port changes and removed flows until they set a size for packets. */
function subscribe(connection: OpenFlowConnection, options: OpenFlowClientOptions): void {
  connection.send({ kind: "set-packet-in-format", format: "packetIn2" });
  if (options.onEvent !== undefined) {
    connection.send({ kind: "set-config", flags: 0, missSendLength: wholePacket });
  }
  if (options.controllerId !== undefined) {
    connection.send({ kind: "set-controller-id", id: options.controllerId });
  }
}

/**
 * One connection to one switch, which never comes back once it has ended: open another. Requests do not wait for one another;
 * the switch carries them out in the order of the calls.
 */
export class OpenFlowClient implements AsyncDisposable {
  /** Settles when the connection has ended, with the reason. */
  readonly closed: Promise<Error>;
  readonly features: FeaturesReply;
  readonly #connection: OpenFlowConnection;
  readonly #peer: string;

  private constructor(connection: OpenFlowConnection, features: FeaturesReply, peer: string) {
    this.#connection = connection;
    this.closed = connection.closed;
    this.features = features;
    this.#peer = peer;
  }

  /** @throws {UnavailableError} when there is no switch, or none that speaks OpenFlow 1.5 */
  static async open(options: OpenFlowClientOptions): Promise<OpenFlowClient> {
    const { address } = options;
    const { requestTimeoutMs, probeIntervalMs } = { ...defaults, ...options };
    const peer =
      "path" in address
        ? `switch at ${address.path}`
        : `switch at ${address.host ?? "localhost"}:${address.port}`;
    const hello = Promise.withResolvers<Message>();
    const connection = await OpenFlowConnection.open(address, {
      peer,
      connectTimeoutMs: requestTimeoutMs,
      requestTimeoutMs,
      onEvent(message) {
        hello.resolve(message);
        if (isSwitchEvent(message)) options.onEvent?.(message);
      },
    });
    keepAlive(connection, peer, probeIntervalMs);
    try {
      const features = await shakeHands(connection, hello.promise, peer);
      subscribe(connection, options);
      return new OpenFlowClient(connection, features, peer);
    } catch (error) {
      connection.end(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  /**
   * All of the changes, as one step that packets see whole, or none of them.
   * @throws {BundleError} which names the changes that the switch refused
   * @throws {UnavailableError} when the connection ended; whether the bundle is in force is then unknown
   * @throws {RangeError} when a change cannot be encoded
   */
  async bundle(changes: readonly Change[]): Promise<void> {
    if (changes.length > 0) await sendBundle(this.#connection, changes);
  }

  /** One change outside of a bundle; settles once it is in force. @throws {OpenFlowError} @throws {UnavailableError} */
  async change(message: Change | MeterMod | FlushZone): Promise<void> {
    const { promise: refused, reject } = Promise.withResolvers<never>();
    const first = this.#connection.reserve(1);
    using _ = this.#connection.watch({
      first,
      length: 1,
      requestAt: () => message,
      refuse: (_index, error) => reject(error),
    });
    this.#connection.send(message, first);
    await Promise.race([refused, this.barrier()]);
  }

  /** Settles when everything sent before has been carried out. @throws {UnavailableError} */
  async barrier(): Promise<void> {
    await this.#connection.request({ kind: "barrier-request" });
  }

  /** All flows that the filter lets through, in no particular order. @throws {UnavailableError} @throws {DecodeError} */
  async dumpFlows(filter: FlowFilter = {}): Promise<FlowEntry[]> {
    return await this.collect({ kind: "multipart-request", part: "flows", request: filter });
  }

  /** The same, one by one as they arrive: half the time of a dump that keeps them, when there are many. */
  async visitFlows(filter: FlowFilter, visit: (entry: FlowEntry) => void): Promise<void> {
    await this.#visit({ kind: "multipart-request", part: "flows", request: filter }, visit);
  }

  /** The items of a multipart answer. @throws {OpenFlowError} @throws {UnavailableError} @throws {DecodeError} */
  async collect<R extends MultipartRequest>(request: R): Promise<PartItem<R["part"]>[]> {
    const items: PartItem<R["part"]>[] = [];
    await this.#visit(request, (item) => items.push(item));
    return items;
  }

  #visit<R extends MultipartRequest>(
    request: R,
    visit: (item: PartItem<R["part"]>) => void,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#connection.exchange(request, {
      accept(message) {
        if (!isReplyOf(message, request.part)) {
          reject(new UnavailableError(`expected ${request.part}, got ${message.kind}`));
          return true;
        }
        for (const item of message.items) visit(item);
        if (!message.more) resolve();
        return !message.more;
      },
      reject,
    });
    return promise;
  }

  /** Lets a packet go on that paused in a controller action; without waiting, as `packetOut`. */
  resume({ kind: _kind, ...packet }: PacketIn2): void {
    this.#connection.send({ kind: "resume", ...packet });
  }

  /** Sends a packet without waiting; what the switch says against it is an event. */
  packetOut(packet: Omit<PacketOut, "kind">): void {
    this.#connection.send({ kind: "packet-out", ...packet });
  }

  /** Requests without an answer fail. */
  close(): void {
    this.#connection.end(new UnavailableError(`${this.#peer}: connection closed`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }
}
