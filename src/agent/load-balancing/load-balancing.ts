// What this node does for load balancers besides balancing: it announces their addresses to the network outside, and looks after
// their members' health.
import type { Log } from "../../runtime/log.ts";
import { WorkQueue } from "../../runtime/work-queue.ts";
import type { Delta } from "../../southbound/resources.ts";
import { Announcer } from "./announcer.ts";
import type { AgentConfig } from "../config.ts";
import type { ControllerLink } from "../controller-link.ts";
import type { GatewayKeeper } from "../node/gateway-keeper.ts";
import { MemberChecks } from "./member-checks.ts";
import type { NodeState } from "../node-state.ts";

export interface LoadBalancingOptions {
  readonly config: Pick<AgentConfig, "node" | "datapathType">;
  readonly state: NodeState;
  readonly gateway: GatewayKeeper;
  readonly link: ControllerLink;
  readonly log: Log;
}

export class LoadBalancing implements AsyncDisposable {
  readonly #announcer: Announcer;
  readonly #checks: MemberChecks;
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
    this.#checks = new MemberChecks({
      node: config.node,
      checks: () => state.all("check"),
      report: (verdicts) => link.tell({ type: "health", verdicts }),
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
    const kinds = new Set([...upserts, ...deletes].map(({ kind }) => kind));
    if (kinds.has("announcement") || completes) this.nodeChanged();
    if (!this.#hasInterfaces) return;
    if (kinds.has("check") || completes) this.#checks.update();
    if (completes) this.#checks.reportAll();
  }

  /** Interfaces may be others now, or the agent has just started. */
  nodeChanged(): void {
    if (!this.#hasInterfaces) return;
    this.#checks.update();
    this.#work.add("announcements");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
    this.#announcer[Symbol.dispose]();
    this.#checks[Symbol.dispose]();
  }
}
