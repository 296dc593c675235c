// The condition NetworkUnavailable of a Node. Cloud installations set it and keep pods away until the network's agent is there;
// whoever brings the network takes it back.
import type { ApiClient } from "../client/api-client.ts";
import { nodeKind } from "../kinds/node.ts";
import { fieldAt, fieldOf, listOf } from "../kubernetes/json.ts";

export const networkUnavailable = "NetworkUnavailable";
const reason = "IsobarIsUp";

/** Whether the node says already that its network is there. */
export function isNetworkReady(node: unknown): boolean {
  const conditions = listOf(fieldAt(node, "status", "conditions")) ?? [];
  const condition = conditions.find((each) => fieldOf(each, "type") === networkUnavailable);
  return fieldOf(condition, "status") === "False";
}

/** Says that the node's agent has what it needs in force. Other conditions are left alone. */
export async function writeNetworkReady(client: ApiClient, name: string, now: Date): Promise<void> {
  const time = `${now.toISOString().slice(0, 19)}Z`;
  const condition = {
    type: networkUnavailable,
    status: "False",
    reason,
    message: "Isobar's agent enforces policies on this node",
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  };
  const body = { status: { conditions: [condition] } };
  const place = { name, subresource: "status" };
  await client.patch(nodeKind, place, { type: "strategic-merge-patch+json", body });
}
