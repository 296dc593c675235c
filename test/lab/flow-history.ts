// What became of a switch's flows between two moments. A flow that was deleted and made again has begun its time anew.
import { flowBody, flowKey } from "../../src/openflow/flow-key.ts";
import type { FlowEntry } from "../../src/openflow/flow-entry.ts";

/** A dump and when it was taken, in seconds of a clock that only goes forward. */
export interface FlowMoment {
  readonly atSeconds: number;
  readonly flows: ReadonlyMap<string, FlowEntry>;
}

export function momentOf(flows: readonly FlowEntry[]): FlowMoment {
  return {
    atSeconds: performance.now() / 1000,
    flows: new Map(flows.map((entry) => [flowKey(entry.flow), entry])),
  };
}

export interface FlowHistory {
  readonly added: readonly FlowEntry[];
  readonly removed: readonly FlowEntry[];
  readonly changed: readonly FlowEntry[];
  /** The same flows as before, made anew. */
  readonly reinstalled: readonly FlowEntry[];
}

/** The switch tells whole seconds. To tell flows that were made anew, both moments must be 2 s from each other and from the flows' making. */
export function compareFlows(before: FlowMoment, after: FlowMoment): FlowHistory {
  const elapsed = after.atSeconds - before.atSeconds;
  const kept = [...after.flows].flatMap(([key, entry]) => {
    const old = before.flows.get(key);
    return old === undefined ? [] : [{ old, entry }];
  });
  const isChanged = ({ old, entry }: (typeof kept)[number]): boolean =>
    flowBody(old.flow) !== flowBody(entry.flow);
  const isReinstalled = ({ old, entry }: (typeof kept)[number]): boolean =>
    (entry.statistics.durationSeconds ?? 0) <
    (old.statistics.durationSeconds ?? 0) + Math.floor(elapsed) - 1;
  return {
    added: [...after.flows].filter(([key]) => !before.flows.has(key)).map(([, flow]) => flow),
    removed: [...before.flows].filter(([key]) => !after.flows.has(key)).map(([, flow]) => flow),
    changed: kept.filter(isChanged).map(({ entry }) => entry),
    reinstalled: kept
      .filter((pair) => !isChanged(pair) && isReinstalled(pair))
      .map(({ entry }) => entry),
  };
}
