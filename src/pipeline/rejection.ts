// Connections that nobody will answer are shown to the agent, which refuses them in the name of their destination.
import type { Action } from "../openflow/flow.ts";
import type { Meter } from "../openflow/meter.ts";
import { agentControllerId } from "./watch-feature.ts";

/** So many a second are answered; the rest are dropped, and tried again by their clients. */
const packetsPerSecond = 1_000;

/** To be on the switch before any flow. */
export const rejectMeter: Meter = {
  id: 1,
  flags: ["packets-per-second", "burst"],
  bands: [{ rate: packetsPerSecond, burst: packetsPerSecond }],
};

/** Longer than what an answer quotes. */
const quotedBytes = 576;

const toAgent: Action = {
  kind: "controller",
  controllerId: agentControllerId,
  maxLength: quotedBytes,
};

/** What a flow does whose packets are to be refused. */
export const rejectPackets = { meter: rejectMeter.id, actions: [toAgent] } as const;
