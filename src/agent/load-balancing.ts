// What this node does for load balancers besides balancing: it announces their addresses to the network outside.
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import type { Delta } from "../southbound/resources.ts";
import { Announcer } from "./announcer.ts";
import type { AgentConfig } from "./config.ts";
import type { ControllerLink } from "./controller-link.ts";
import type { GatewayKeeper } from "./gateway-keeper.ts";
import type { NodeState } from "./node-state.ts";

export interface LoadBalancingOptions {
  readonly config: Pick<AgentConfig, "node" | "datapathType">;
  readonly state: NodeState;
  readonly gateway: GatewayKeeper;
  readonly link: ControllerLink;
  readonly log: Log;
}

export class LoadBalancing implements AsyncDisposable {
  readonly #announcer: Announcer;
  /** Of its own: what others of the node wait for must not keep an address from being announced. */
  readonly #work: WorkQueue<"announcements">;

  /** The dummy datapath has ports, but no network interfaces behind them. */
  readonly #hasInterfaces: boolean;

  constructor({ config, state, gateway, link, log }: LoadBalancingOptions) {
    this.#hasInterfaces = config.datapathType !== "dummy";
    this.#announcer = new Announcer({
      node: config.node,
      announcements: () => state.all("announcement"),
      defaultInterfaces: async () => (await gateway.underlay()).interfaces,
      isFollowing: () => link.controller !== undefined,
      log,
    });
    this.#work = new WorkQueue<"announcements">({
      reconcile: async () => await this.#announcer.update(),
      onError: (_work, err, attempt) => {
        if (attempt === 1) log.warn({ err }, "announcements failed; trying again");
      },
    });
  }

  /** How many addresses this node announces. */
  get announced(): number {
    return this.#announcer.addresses.length;
  }

  /** The state has taken the delta in. `completes`: a controller has told everything, and keeps this node up to date. */
  take({ upserts, deletes }: Delta, completes: boolean): void {
    const isConcerned = [...upserts, ...deletes].some(({ kind }) => kind === "announcement");
    if (isConcerned || completes) this.nodeChanged();
  }

  /** Interfaces may be others now. */
  nodeChanged(): void {
    if (this.#hasInterfaces) this.#work.add("announcements");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
    this.#announcer[Symbol.dispose]();
  }
}
