// The agent's bridge in the switch's database: made, kept, and followed.
import { EventEmitter, once } from "node:events";
import type { Log } from "../runtime/log.ts";
import { UnavailableError } from "../switch/errors.ts";
import type { BridgePort } from "../switch/bridge-ports.ts";
import { OvsBridge, type PortConfig, type SwitchFacts } from "../switch/ovs-bridge.ts";
import { OvsdbClient } from "../switch/ovsdb-client.ts";
import type { AgentConfig } from "./config.ts";
import { BridgeTakenError } from "./errors.ts";
import { ownPorts } from "./attach/switch-ports.ts";

interface DatabaseEvents {
  /** The database was reached anew, or something of the agent's own is missing: `ensure` is due. */
  due: [];
  /** Ports of these names may be other than before. Not sent before `ensure` has once succeeded. */
  ports: [names: ReadonlySet<string>];
}

/** Among the `external_ids` of a bridge that is the agent's. */
export const roleKey = "isobar-role";

/** An empty bridge may have been made for the agent; one that somebody uses is not taken from them. */
function whyTaken(bridge: OvsBridge): string | undefined {
  const { name } = bridge;
  const another = `give the agent another with --bridge, or remove that one: ovs-vsctl del-br ${name}`;
  const found = bridge.found();
  if (found?.externalIds[roleKey] !== undefined) return undefined;
  const { externalIds } = bridge.facts();
  const ofOvn = externalIds["ovn-remote"] !== undefined;
  if (ofOvn && (externalIds["ovn-bridge"] ?? "br-int") === name) {
    return `bridge ${name} belongs to OVN on this node (ovn-remote is set); give the agent another with --bridge`;
  }
  if (found === undefined) return undefined;
  const marks = [
    ...found.ports.slice(0, 3).map((port) => `port ${port}`),
    ...Object.keys(found.externalIds)
      .slice(0, 3)
      .map((key) => `external_ids:${key}`),
    ...(found.controllers > 0 ? ["a controller"] : []),
  ];
  if (marks.length === 0) return undefined;
  return `bridge ${name} is somebody else's (it has ${marks.join(", ")}); ${another}`;
}

export class SwitchDatabase extends EventEmitter<DatabaseEvents> implements AsyncDisposable {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #client: OvsdbClient;
  #bridge: OvsBridge | undefined;
  #ready = false;
  #refusal: string | undefined;
  /** The agent's own ports as they were last put, as JSON. */
  #own = "";

  constructor(config: AgentConfig, log: Log) {
    super();
    this.setMaxListeners(0);
    this.#config = config;
    this.#log = log;
    this.#client = new OvsdbClient({ address: { path: config.ovsdbSocket } });
    let lastReason = "";
    this.#client.on("state", (state, reason) => {
      if (state === "connected") this.emit("due");
      const text = reason?.message ?? "";
      if (text !== "" && text !== lastReason) log.warn({ reason: text }, "no switch database");
      lastReason = text;
    });
  }

  /** Whether the bridge and the agent's own ports are known; false until `ensure` has succeeded. */
  get ready(): boolean {
    return this.#ready;
  }

  get connected(): boolean {
    return this.#client.state === "connected";
  }

  /** The bridge, once it is ready. @throws {UnavailableError} when `signal` is aborted first. */
  async bridge(signal: AbortSignal): Promise<OvsBridge> {
    for (;;) {
      if (this.#bridge !== undefined && this.#ready && this.#client.state === "connected") {
        return this.#bridge;
      }
      try {
        await once(this, "ports", { signal });
      } catch (cause) {
        const reason = this.#refusal ?? "the switch's database does not answer";
        throw new UnavailableError(reason, { cause });
      }
    }
  }

  /** Why the bridge was not made; `undefined` when it was, or has not been tried. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** As last seen; `undefined` while the database has not answered. */
  facts(): SwitchFacts | undefined {
    return this.#bridge?.facts();
  }

  /** Interfaces of the switch's other bridges, as last seen. */
  others(): readonly BridgePort[] {
    return this.#bridge?.others() ?? [];
  }

  /** As last seen. */
  ports(): ReturnType<OvsBridge["ports"]> {
    return this.#bridge?.ports() ?? new Map();
  }

  /**
   * Makes the bridge and the agent's own ports, or sets them right.
   * @throws {UnavailableError} @throws {PeerError}
   * @throws {BridgeTakenError} when the bridge is somebody else's; then nothing was changed.
   */
  async ensure(own: readonly PortConfig[]): Promise<OvsBridge> {
    const bridge = await this.#open();
    this.#refusal = whyTaken(bridge);
    if (this.#refusal !== undefined) throw new BridgeTakenError(this.#refusal);
    await bridge.ensure();
    await this.#putOwn(bridge, own);
    this.#ready = true;
    this.emit("ports", new Set(bridge.ports().keys()));
    return bridge;
  }

  /** Sets the agent's own ports right, where they are to be other than before. @throws as `ensure` */
  async updateOwn(own: readonly PortConfig[]): Promise<void> {
    if (this.#bridge === undefined || JSON.stringify(own) === this.#own) return;
    await this.#putOwn(this.#bridge, own);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  async #putOwn(bridge: OvsBridge, own: readonly PortConfig[]): Promise<void> {
    for (const { name, error } of await bridge.addPorts(own)) {
      if (error !== undefined)
        this.#log.error(
          { port: name, reason: error },
          "the switch did not make a port of the agent's own",
        );
    }
    this.#own = JSON.stringify(own);
  }

  async #open(): Promise<OvsBridge> {
    if (this.#bridge !== undefined) return this.#bridge;
    const { bridge: name, datapathType } = this.#config;
    const externalIds = { [roleKey]: "integration" };
    this.#bridge = await OvsBridge.open(this.#client, { name, datapathType, externalIds });
    this.#bridge.on("change", (names) => this.#changed(names));
    return this.#bridge;
  }

  #changed(names: ReadonlySet<string>): void {
    if (!this.#ready) return;
    const ports = this.ports();
    if (Object.values(ownPorts).some(({ name }) => !ports.has(name))) this.emit("due");
    if (names.size > 0) this.emit("ports", names);
  }
}
