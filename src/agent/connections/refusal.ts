// Which resource a flow stands for: what the controller is told when the switch does not take the flow.
import { decodeCookie, features } from "../../pipeline/cookie.ts";
import type { Ack } from "../../southbound/messages.ts";
import type { ResourceKey } from "../../southbound/resources.ts";
import type { RefusedFlow } from "../flows/flow-reconciler.ts";
import type { RecordedNumbers } from "../recorded-numbers.ts";

/** `undefined` for a flow that stands for no single resource. */
function resourceOf(cookie: bigint, numbers: RecordedNumbers): ResourceKey | undefined {
  const decoded = decodeCookie(cookie);
  if (decoded === undefined) return undefined;
  const { counts } = features[decoded.feature];
  if (counts === "rule" || counts === "node" || counts === "domain") {
    return named(counts, numbers.keyOf(counts, decoded.number));
  }
  if (counts === "identity") return named("posture", numbers.keyOf(counts, decoded.number));
  return undefined;
}

function named(kind: ResourceKey["kind"], id: string | undefined): ResourceKey | undefined {
  return id === undefined ? undefined : { kind, id };
}

/** As an ack reports them; flows that stand for no resource are left out. */
export function describeRefusals(
  refused: readonly RefusedFlow[],
  numbers: RecordedNumbers,
): Ack["errors"] {
  return refused.flatMap(({ flow, message }) => {
    const resource = resourceOf(flow.cookie, numbers);
    return resource === undefined ? [] : [{ resource, message }];
  });
}
