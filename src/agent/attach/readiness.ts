// What an attachment waits for: the controller's data about the endpoint, and the switch's word that it is enforced.
import { EventEmitter, once } from "node:events";
import type { EndpointResource } from "../../southbound/resources.ts";
import { AttachError } from "../errors.ts";
import type { FlowReconciler } from "../flows/flow-reconciler.ts";
import type { NodeState } from "../node-state.ts";

export interface ReadinessOptions {
  readonly node: string;
  readonly state: NodeState;
  readonly flows: FlowReconciler;
  /** Name of the controller that keeps the state up to date, if one does. */
  readonly controller: () => string | undefined;
}

/** Names an endpoint and, where it matters, which of the objects that have had the name. */
export interface EndpointKey {
  readonly id: string;
  readonly uid: string | undefined;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #news = new EventEmitter<{ news: [] }>();

  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.#news.setMaxListeners(0);
  }

  /** To be called after every change of the state. */
  changed(): void {
    this.#news.emit("news");
  }

  /** The endpoint, once it may be attached to this node. @throws {AttachError} saying what is missing. */
  async endpoint({ id, uid }: EndpointKey, signal: AbortSignal): Promise<EndpointResource> {
    const { node, state } = this.#options;
    for (;;) {
      const endpoint = state.get("endpoint", id);
      const here = endpoint?.node === node;
      const meant = uid === undefined || endpoint?.uids?.includes(uid) === true;
      const reachable = endpoint !== undefined && endpoint.addresses.length > 0;
      if (here && meant && reachable && endpoint.mac !== "") return endpoint;
      if (await this.#next(signal)) continue;
      if (endpoint === undefined) {
        throw new AttachError("unknown-endpoint", `endpoint ${id} is not known${this.#headless()}`);
      }
      if (!meant) {
        const uids = endpoint.uids?.join(" or ") ?? "none";
        const text = `endpoint ${id} is for another object of that name: expected uid ${uid}, got ${uids}`;
        throw new AttachError("unknown-endpoint", text + this.#headless());
      }
      if (!here) {
        const text = `endpoint ${id} belongs to node ${endpoint.node}, this is ${node}`;
        throw new AttachError("unknown-endpoint", text + this.#headless());
      }
      throw new AttachError("no-address", `endpoint ${id} has no address yet${this.#headless()}`);
    }
  }

  /**
   * Settles when the switch has confirmed all that is known now, the endpoint's policies among it.
   * @throws {AttachError} when that takes too long, or the endpoint has become another than it was given
   */
  async enforced(key: EndpointKey, given: EndpointResource, signal: AbortSignal): Promise<void> {
    const { state, flows } = this.#options;
    const { id } = key;
    for (;;) {
      const endpoint = await this.endpoint(key, signal);
      if (!isReachedAlike(endpoint, given)) {
        throw new AttachError("no-address", `endpoint ${id} got other addresses meanwhile`);
      }
      // Its identity may change while it waits, with its labels or with what policies ask about them.
      if (state.get("posture", endpoint.identity) !== undefined) break;
      if (await this.#next(signal)) continue;
      throw new AttachError("timeout", `the policies of ${id} are not known${this.#headless()}`);
    }
    try {
      await flows.confirmed(flows.version, signal);
    } catch (cause) {
      const reason = flows.connected ? "has not confirmed" : "is not connected to confirm";
      throw new AttachError("timeout", `the switch ${reason} the flows of ${id}`, { cause });
    }
  }

  /** Waits for news; false when the time is over. */
  async #next(signal: AbortSignal): Promise<boolean> {
    try {
      await once(this.#news, "news", { signal });
      return true;
    } catch {
      return false;
    }
  }

  #headless(): string {
    return this.#options.controller() === undefined ? " and no controller is connected" : "";
  }
}

/** Whether an interface made for the one endpoint serves the other. */
function isReachedAlike(one: EndpointResource, other: EndpointResource): boolean {
  return one.mac === other.mac && one.addresses.join() === other.addresses.join();
}
