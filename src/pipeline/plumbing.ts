// How flows are written that depend on nothing the node is told.
import type { Flow } from "../openflow/flow.ts";
import { type Refusal, encodeCookie, refusals } from "./cookie.ts";
import { type FlowDraft, buildFlow } from "./flow-builder.ts";
import { tables } from "./tables.ts";

/** A flow that moves packets on. */
export function plumb(draft: Omit<FlowDraft, "cookie">): Flow {
  const number = tables[draft.table].number;
  return buildFlow({ ...draft, cookie: encodeCookie({ feature: "plumbing", number }) });
}

/** A flow that drops what no policy is about. */
export function refuse(
  reason: Refusal,
  draft: Omit<FlowDraft, "cookie" | "actions" | "next">,
): Flow {
  const cookie = encodeCookie({ feature: "refusal", verdict: "deny", number: refusals[reason] });
  return buildFlow({ ...draft, cookie });
}
