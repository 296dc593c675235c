// Gives containers their interfaces and takes them back. An attachment is recorded before anything is made, so that a
// killed agent finds at its next start what it was about to do.
//
//   attach: record -> veth pair -> switch port -> flows confirmed -> answer
//   detach:           switch port -> veth pair -> record
import {
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  prefixOf,
  widthOf,
} from "../../net/address.ts";
import { KernelError } from "../../kernel/errors.ts";
import { CommandError } from "../../runtime/errors.ts";
import type { Log } from "../../runtime/log.ts";
import type {
  AttachRequest,
  Attached,
  DetachRequest,
  Detached,
} from "../../southbound/attachment.ts";
import type { EndpointResource } from "../../southbound/resources.ts";
import { UnavailableError } from "../../switch/errors.ts";
import type { OvsBridge } from "../../switch/ovs-bridge.ts";
import type { AgentMetrics } from "../agent-metrics.ts";
import { Batcher } from "../flows/batcher.ts";
import {
  createInterface,
  deleteInterfaces,
  listInterfaces,
  listLargerInterfaces,
  reduceMtu,
} from "./container-interface.ts";
import type { AttachmentName } from "../../cni/network-config.ts";
import { type ExpectedInterface, findInterfaceFaults } from "./container-check.ts";
import { AttachError } from "../errors.ts";
import { type InterfacePlan, gateways } from "./interface-plan.ts";
import { requireNetns } from "../netns.ts";
import type { Readiness } from "./readiness.ts";
import type { StateFile, StoredAttachment } from "../state-file.ts";
import type { SwitchDatabase } from "../switch-database.ts";
import {
  attachmentOf,
  attachmentPortConfig,
  isAttachmentPort,
  nextOfport,
  portNameOf,
} from "./switch-ports.ts";

export interface AttachmentsOptions {
  readonly file: StateFile;
  readonly log: Log;
  readonly metrics: Pick<AgentMetrics, "attach" | "detach">;
  readonly database: SwitchDatabase;
  readonly readiness: Readiness;
  /** MTU of the interfaces. */
  readonly mtu: () => Promise<number>;
  readonly checksumInKernel: () => boolean;
}

/** How long changes of ports wait for the switch's database. */
const databaseTimeoutMs = 3_000;
/** How long a check waits for changes that are on their way to the switch. */
const convergenceMs = 2_000;

export class Attachments {
  readonly #options: AttachmentsOptions;
  readonly #records = new Map<string, StoredAttachment>();
  /** The last request for each port; the next one for it waits. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #additions: Batcher<StoredAttachment>;
  readonly #removals: Batcher<string>;
  /** What the records ask for, with the port that asks. */
  readonly #ofports = new Map<number, string>();
  #lastOfport = 0;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
    for (const record of options.file.attachments()) this.#keep(record);
    const bridge = async (): Promise<OvsBridge> =>
      await options.database.bridge(AbortSignal.timeout(databaseTimeoutMs));
    this.#additions = new Batcher(async (records) => {
      await (await bridge()).addPorts(records.map(attachmentPortConfig));
    });
    this.#removals = new Batcher(async (ports) => {
      await (await bridge()).removePorts(ports);
    });
  }

  /**
   * `cancelled` is aborted when nobody waits for the answer any more.
   * @throws {AttachError} after taking everything back that it made; what an earlier request made stays.
   */
  async attach(request: AttachRequest, cancelled: AbortSignal): Promise<Attached> {
    const port = portNameOf(request.container, request.interface);
    const measure = this.#options.metrics.attach.startTimer();
    try {
      const attached = await this.#inTurn(port, () => this.#attach(port, request, cancelled));
      measure({ result: "attached" });
      return attached;
    } catch (error) {
      const failure = asAttachError(error);
      measure({ result: failure.code });
      throw failure;
    }
  }

  /** Always succeeds: what cannot be removed now is removed when the switch is back. */
  async detach(request: DetachRequest): Promise<Detached> {
    const port = portNameOf(request.container, request.interface);
    const measure = this.#options.metrics.detach.startTimer();
    return await this.#inTurn(port, async () => {
      await this.#remove(port);
      measure();
      return { type: "detached" };
    });
  }

  /**
   * Whether the container's interface, its port and its policies are as attach has left them.
   * @throws {AttachError} saying what is not
   */
  async check(
    name: AttachmentName,
    expected: ExpectedInterface,
    cancelled: AbortSignal,
  ): Promise<void> {
    const port = portNameOf(name.container, name.interface);
    await this.#inTurn(port, async () => await this.#check(port, expected, cancelled));
  }

  /** Detaches what is attached to the CNI network and not among the valid. */
  async collect(network: string, valid: readonly AttachmentName[]): Promise<void> {
    const kept = new Set(valid.map((one) => portNameOf(one.container, one.interface)));
    const stale = [...this.#records.values()].filter(
      (record) => record.network === network && !kept.has(record.port),
    );
    await Promise.all(
      stale.map(async ({ port, endpoint }) => {
        // One that is being attached is younger than the list of the valid.
        if (this.#turns.has(port)) return;
        this.#options.log.info({ endpoint, port }, "no container has it any more");
        await this.#inTurn(port, async () => await this.#remove(port));
      }),
    );
  }

  /** For a container that went while there was no agent: `recover` does the rest. @throws {KernelError} */
  async forget({ container, interface: name }: AttachmentName): Promise<void> {
    await deleteInterfaces([portNameOf(container, name)]);
  }

  /**
   * Compares the records with the switch's ports and the node's interfaces, and completes or removes what is half made.
   * To be called when the switch's database has been reached anew, where the switch's ports are network interfaces.
   */
  async recover(bridge: OvsBridge): Promise<void> {
    const { file, log } = this.#options;
    const interfaces = await listInterfaces();
    const ports = bridge.ports();
    for (const port of ports.values()) {
      const labelled = attachmentOf(port);
      if (labelled === undefined || this.#records.has(port.name)) continue;
      file.putAttachment(labelled);
      this.#keep(labelled);
    }
    // All at once: the switch takes as long for one port as for many.
    const mended = [...this.#records.values()].map(async (record) => {
      const { port, endpoint } = record;
      if (this.#turns.has(port)) return;
      if (!interfaces.has(port)) {
        log.info({ endpoint, port }, "its interface is gone");
        await this.#inTurn(port, async () => await this.#remove(port));
      } else if (!ports.has(port)) {
        await this.#inTurn(port, async () => await this.#additions.add(record));
      }
    });
    await Promise.all(mended);
    const orphans = [...interfaces].filter(
      (name) => isAttachmentPort(name) && !this.#records.has(name) && !this.#turns.has(name),
    );
    await deleteInterfaces(orphans);
  }

  /**
   * Takes the MTU of interfaces down to what the network between the nodes carries now: larger packets would be lost. One
   * that has become larger is for new attachments. @throws {CommandError}
   */
  async limitMtu(mtu: number): Promise<void> {
    const { log } = this.#options;
    const larger = await listLargerInterfaces(mtu);
    for (const port of larger) {
      await this.#inTurn(port, async () => {
        const record = this.#records.get(port);
        if (record !== undefined) await reduceMtu(record, mtu);
      }).catch((err: unknown) => log.warn({ err, port }, "its MTU is too large now"));
    }
    if (larger.length > 0) log.info({ interfaces: larger.length, mtu }, "MTU reduced");
  }

  async #check(port: string, expected: ExpectedInterface, cancelled: AbortSignal): Promise<void> {
    const { readiness, database } = this.#options;
    const record = this.#records.get(port);
    if (record === undefined) {
      throw new AttachError("unknown-container", "the container is not attached");
    }
    await requireNetns(expected.netns);
    const faults = [...(await findInterfaceFaults(expected))];
    const made = database.ports().get(port);
    if (made?.ofport === undefined) {
      faults.push(
        `the switch has no port ${port}${made?.error === undefined ? "" : `: ${made.error}`}`,
      );
    }
    if (faults.length > 0) throw new AttachError("faulty", faults.join("; "));
    const signal = AbortSignal.any([AbortSignal.timeout(convergenceMs), cancelled]);
    const key = { id: record.endpoint, uid: record.uid };
    await readiness.enforced(key, await readiness.endpoint(key, signal), signal);
  }

  async #attach(port: string, request: AttachRequest, cancelled: AbortSignal): Promise<Attached> {
    const { readiness, file, database } = this.#options;
    await requireNetns(request.netns);
    const signal = AbortSignal.any([AbortSignal.timeout(request.timeoutMs), cancelled]);
    const key = { id: request.endpoint, uid: request.uid };
    const endpoint = await readiness.endpoint(key, signal);
    requireAsked(endpoint, request);
    const known = this.#records.get(port);
    const mtu = chooseMtu(request.mtu, await this.#options.mtu());
    const whole =
      known?.endpoint === request.endpoint &&
      known.netns === request.netns &&
      (await listInterfaces()).has(port);
    if (!whole) {
      if (known !== undefined) await this.#remove(port);
      const record = this.#newRecord(port, request, await database.bridge(signal));
      file.putAttachment(record);
      this.#keep(record);
    }
    try {
      const record = this.#records.get(port);
      if (record === undefined) throw new AttachError("internal", `${port} has no record`);
      const plan = this.#plan(record, endpoint, { mtu, routes: request.routes });
      if (!whole) await createInterface(plan);
      await this.#addPort(record, await database.bridge(signal));
      await readiness.enforced(key, endpoint, signal);
      await requireNetns(request.netns, "netns-gone");
      this.#options.log.info({ endpoint: endpoint.id, port }, "attached");
      return describe(plan);
    } catch (error) {
      if (!whole) await this.#remove(port);
      await requireNetns(request.netns, "netns-gone");
      throw error;
    }
  }

  #plan(
    { port, netns, interface: name }: StoredAttachment,
    { mac, addresses }: EndpointResource,
    { mtu, routes }: { readonly mtu: number; readonly routes: readonly string[] | undefined },
  ): InterfacePlan {
    const { checksumInKernel } = this.#options;
    const parsed = addresses.map(parseAddress);
    const families = new Set(parsed.map(({ family }) => family));
    const destinations = routes?.map(parsePrefix) ?? parsed.map((address) => prefixOf(address, 0));
    return {
      port,
      netns,
      interface: name,
      mac,
      addresses: parsed,
      // A destination of a family that the endpoint does not have cannot be reached.
      routes: destinations.filter(({ family }) => families.has(family)),
      mtu,
      checksumInKernel: checksumInKernel(),
    };
  }

  async #addPort(record: StoredAttachment, bridge: OvsBridge): Promise<void> {
    if (bridge.ports().get(record.port)?.ofport === undefined) await this.#additions.add(record);
    const made = bridge.ports().get(record.port);
    if (made?.ofport !== undefined) return;
    const reason = made?.error ?? "it gave no port number";
    throw new AttachError("internal", `the switch did not take ${record.port}: ${reason}`);
  }

  #newRecord(port: string, request: AttachRequest, bridge: OvsBridge): StoredAttachment {
    const isUsed = (ofport: number): boolean =>
      this.#ofports.has(ofport) || bridge.portAt(ofport) !== undefined;
    this.#lastOfport = nextOfport(isUsed, this.#lastOfport);
    const { endpoint, uid, container, netns, interface: name, network } = request;
    return {
      port,
      endpoint,
      ...(uid === undefined ? {} : { uid }),
      container,
      netns,
      interface: name,
      ...(network === undefined ? {} : { network }),
      ofportRequest: this.#lastOfport,
      attachedMs: Date.now(),
    };
  }

  #keep(record: StoredAttachment): void {
    this.#records.set(record.port, record);
    this.#ofports.set(record.ofportRequest, record.port);
    // After a start numbers go on where they had been.
    this.#lastOfport = Math.max(this.#lastOfport, record.ofportRequest);
  }

  #drop(port: string): void {
    const record = this.#records.get(port);
    this.#records.delete(port);
    if (record !== undefined && this.#ofports.get(record.ofportRequest) === port) {
      this.#ofports.delete(record.ofportRequest);
    }
  }

  /** Keeps the record when the switch could not be told; without its interface `recover` takes it for removed. */
  async #remove(port: string): Promise<void> {
    const { file, log } = this.#options;
    try {
      const [removed] = await Promise.allSettled([this.#removals.add(port)]);
      // The interface goes even when the switch does not answer: the container is about to.
      await deleteInterfaces([port]);
      if (removed.status === "rejected") throw removed.reason;
      file.deleteAttachment(port);
      this.#drop(port);
    } catch (error) {
      log.warn({ err: error, port }, "left for later: removing a port");
    }
  }

  async #inTurn<Result>(port: string, work: () => Promise<Result>): Promise<Result> {
    const turn = (this.#turns.get(port) ?? Promise.resolve()).then(work, work);
    this.#turns.set(port, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(port) === turn) this.#turns.delete(port);
    }
  }
}

function describe(plan: InterfacePlan): Attached {
  const { addresses } = plan;
  return {
    type: "attached",
    interface: plan.interface,
    hostInterface: plan.port,
    mac: plan.mac,
    addresses: addresses.map((one) => `${formatAddress(one)}/${widthOf(one.family)}`),
    gateways: addresses.map((one) => gateways[one.family]),
    routes: plan.routes.map((route) => ({
      destination: formatPrefix(route),
      gateway: gateways[route.family],
    })),
    mtu: plan.mtu,
  };
}

/** The runtime may ask for addresses; they are the Endpoint's, or there are none. @throws {AttachError} `refused` */
function requireAsked(endpoint: EndpointResource, request: AttachRequest): void {
  const { id, addresses, mac } = endpoint;
  const missing = request.requestedAddresses?.filter((one) => !addresses.includes(one)) ?? [];
  if (missing.length > 0) {
    const text = `${missing.join(" and ")} was asked for, endpoint ${id} has ${addresses.join(" and ")}`;
    throw new AttachError("refused", text);
  }
  const { requestedMac } = request;
  if (requestedMac !== undefined && requestedMac.toLowerCase() !== mac) {
    throw new AttachError("refused", `${requestedMac} was asked for, endpoint ${id} has ${mac}`);
  }
}

/** @throws {AttachError} `refused` when what is asked for does not fit. */
function chooseMtu(asked: number | undefined, largest: number): number {
  if (asked === undefined || asked <= largest) return asked ?? largest;
  throw new AttachError(
    "refused",
    `mtu ${asked} does not fit between the nodes: at most ${largest}`,
  );
}

function asAttachError(error: unknown): AttachError {
  if (error instanceof AttachError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UnavailableError)
    return new AttachError("timeout", message, { cause: error });
  const code =
    error instanceof CommandError || error instanceof KernelError ? "invalid" : "internal";
  return new AttachError(code, message, { cause: error });
}
