// How many packets the pipeline has dropped and why, asked of the switch: it adds up the counters of the flows that drop.
import { type Cookie, encodeCookie, refusals } from "../../pipeline/cookie.ts";
import { namesOf } from "../../pipeline/names.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";

interface Question {
  /** Why the flows that are asked about drop. */
  readonly reason: string;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
}

const exactly = 0xffff_ffff_ffff_ffffn;
/** Everything but the number. */
const kindOnly = 0xffff_ffff_0000_0000n;

function ask(reason: string, cookie: Cookie, cookieMask: bigint): Question {
  return { reason, cookie: encodeCookie(cookie), cookieMask };
}

/** `invalidState` as `invalid-state`. */
function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const questions: readonly Question[] = [
  ...(["egress", "ingress"] as const).flatMap((direction) => [
    ask(`${direction}-rule`, { feature: "rule", direction, verdict: "deny", number: 0 }, kindOnly),
    ask(
      `${direction}-isolation`,
      { feature: "posture", direction, verdict: "deny", number: 0 },
      kindOnly,
    ),
  ]),
  ...namesOf(refusals).map((reason) =>
    ask(kebab(reason), { feature: "refusal", verdict: "deny", number: refusals[reason] }, exactly),
  ),
  ask("no-flow", { feature: "miss", verdict: "deny", number: 0 }, kindOnly),
];

export interface DroppedPackets {
  readonly reason: string;
  readonly packets: number;
}

/** Counts of the flows that are there now. Costs the switch a walk over its flows for each reason. */
export async function readDroppedPackets(client: OpenFlowClient): Promise<DroppedPackets[]> {
  return await Promise.all(
    questions.map(async ({ reason, cookie, cookieMask }) => {
      const [sum] = await client.collect({
        kind: "multipart-request",
        part: "aggregate",
        request: { cookie, cookieMask },
      });
      return { reason, packets: Number(sum?.packetCount ?? 0n) };
    }),
  );
}
