import type { Log } from "../../runtime/log.ts";
import type { NodeReport } from "../../southbound/attachment.ts";
import type { Attachments } from "../attach/attachments.ts";
import type { AgentConfig } from "../config.ts";
import type { GatewayKeeper } from "./gateway-keeper.ts";
import { restoreGuard } from "./kernel-guard.ts";
import type { NodeServices } from "./node-services.ts";
import type { NodeInspection } from "./node-inspection.ts";
import type { SwitchDatabase } from "../switch-database.ts";

export interface NodeKeeperOptions {
  readonly config: AgentConfig;
  readonly log: Log;
  readonly database: SwitchDatabase;
  readonly gateway: GatewayKeeper;
  readonly services: NodeServices;
  readonly attachments: Attachments;
  readonly inspection: NodeInspection;
}

/** Keeps the node as the agent needs it, whatever others do to it, and knows what it could not. */
export class NodeKeeper {
  readonly #options: NodeKeeperOptions;
  #report: NodeReport | undefined;

  constructor(options: NodeKeeperOptions) {
    this.#options = options;
  }

  /** What was found when the agent last looked; how packets leave endpoints as it is now. */
  get report(): NodeReport | undefined {
    const { segmentation, checksumInKernel } = this.#options.inspection;
    return this.#report && { ...this.#report, segmentation, checksumInKernel };
  }

  /** Makes the node's way into the overlay as it is now to be. @throws {CommandError} @throws {UnavailableError} */
  async applyGateway(): Promise<void> {
    const { config, database, gateway, services } = this.#options;
    if (config.datapathType !== "dummy") await gateway.look();
    await database.updateOwn(await gateway.ports());
    await gateway.apply();
    if (gateway.isApplied) await services.applyAll();
  }

  /** Looks at the node and sets right what others have changed. @throws {CommandError} @throws {UnavailableError} */
  async tend(): Promise<void> {
    const { config, log, database, gateway, services, attachments, inspection } = this.#options;
    // The dummy datapath has ports, but no network interfaces behind them.
    if (config.datapathType === "dummy") return;
    const seen = await gateway.look();
    if (await restoreGuard()) log.warn("the packet filter's table isobar-endpoints was gone");
    if (database.ready && !((await gateway.holds()) && (await services.holds()))) {
      await database.updateOwn(await gateway.ports());
      await gateway.apply();
      if (gateway.isApplied) await services.applyAll();
    }
    await attachments.limitMtu(seen.underlay.endpointMtu);
    this.#tell(await inspection.inspect(seen));
  }

  /** Logs what is new. */
  #tell(report: NodeReport): void {
    const { log } = this.#options;
    const known = new Set(this.#report?.problems.map(({ message }) => message));
    for (const { code, severity, message, remedy } of report.problems) {
      if (known.has(message)) continue;
      const level = severity === "advice" ? "info" : severity === "error" ? "error" : "warn";
      log[level]({ code, remedy }, message);
    }
    if (report.endpointMtu !== this.#report?.endpointMtu) {
      const { underlay, endpointMtu } = report;
      log.info({ ...underlay, endpointMtu }, "MTU of the network between the nodes");
    }
    this.#report = report;
  }
}
