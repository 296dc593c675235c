import { setTimeout as sleep } from "node:timers/promises";
import { LabError } from "../errors.ts";
import { netnsPath } from "./command.ts";
import type { HostPlan } from "./plan.ts";
import { Prober } from "./prober.ts";

/**
 * Waits until packets pass between a host and its routers: the kernel and the switch take a moment after their interfaces
 * are up.
 * @throws {LabError}
 */
export async function untilReached(
  { name, netns, placements }: HostPlan,
  timeoutMs = 15_000,
): Promise<void> {
  const prober = new Prober();
  const deadline = performance.now() + timeoutMs;
  const reach = async (to: string): Promise<void> => {
    const request = {
      netns: netnsPath(netns),
      to,
      protocol: "tcp",
      port: 1,
      timeoutMs: 300,
    } as const;
    // Nothing listens there: a refusal is the answer of the router itself.
    while ((await prober.probe(request)).verdict !== "refused") {
      if (performance.now() > deadline)
        throw new LabError(`${name} does not reach its router ${to}`);
      // No route yet is known at once.
      await sleep(10);
    }
  };
  await Promise.all(placements.map(({ router }) => reach(router)));
}
