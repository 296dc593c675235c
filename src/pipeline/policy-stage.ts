// Where the rules of a direction and tier stand, and which registers they look at.
import type { Direction, Tier } from "../model/policy.ts";
import type { RegisterName } from "./registers.ts";
import type { TableName } from "./tables.ts";

export interface TierStage {
  readonly table: TableName;
  /** Where a packet goes that no rule of the tier decides. */
  readonly after: TableName;
  /** Nobody is asked after it: what it does not decide is open. */
  readonly last?: true;
}

export interface Stage {
  readonly subject: RegisterName;
  readonly peer: RegisterName;
  readonly peerRegion: RegisterName;
  /** Holds the number of the rule that allowed. */
  readonly decision: RegisterName;
  readonly tiers: Readonly<Record<Tier, TierStage>>;
  readonly posture: TableName;
  /** Where an allowed packet goes. */
  readonly allowed: TableName;
}

export const stages = {
  egress: {
    subject: "sourceIdentity",
    peer: "destinationIdentity",
    peerRegion: "destinationRegion",
    decision: "egressDecision",
    tiers: {
      admin: { table: "EgressAdmin", after: "EgressIsobar" },
      isobar: { table: "EgressIsobar", after: "EgressRule" },
      networkpolicy: { table: "EgressRule", after: "EgressPosture" },
      baseline: { table: "EgressBaseline", after: "IngressGate", last: true },
    },
    posture: "EgressPosture",
    allowed: "IngressGate",
  },
  ingress: {
    subject: "destinationIdentity",
    peer: "sourceIdentity",
    peerRegion: "sourceRegion",
    decision: "ingressDecision",
    tiers: {
      admin: { table: "IngressAdmin", after: "IngressIsobar" },
      isobar: { table: "IngressIsobar", after: "IngressRule" },
      networkpolicy: { table: "IngressRule", after: "IngressPosture" },
      baseline: { table: "IngressBaseline", after: "Commit", last: true },
    },
    posture: "IngressPosture",
    allowed: "Commit",
  },
} as const satisfies Record<Direction, Stage>;
