// Which node announces an address. The one that does goes on as long as it can: a move breaks the connections that come through it.
// Otherwise every candidate has a number that follows from its name and the address, and the highest has it: each node gets
// its share, and when one goes, only what it had moves.
import { hashOf } from "../southbound/digest.ts";

export interface ElectionCandidate {
  readonly node: string;
  /** Whether its agent answers. */
  readonly isWell: boolean;
}

/** `candidates` are all nodes that may announce the address; `undefined` when none can. */
export function electAnnouncer(
  address: string,
  candidates: readonly ElectionCandidate[],
  present: string | undefined,
): string | undefined {
  const well = candidates.filter(({ isWell }) => isWell);
  const stays = candidates.find(({ node }) => node === present);
  // Where nobody answers, it is the controller that is cut off, and not every node that is gone.
  if (stays !== undefined && (stays.isWell || well.length === 0)) return stays.node;
  let first: { readonly node: string; readonly rank: string } | undefined;
  for (const { node } of well) {
    const rank = hashOf(`${node} ${address}`);
    if (first === undefined || rank > first.rank) first = { node, rank };
  }
  return first?.node;
}
