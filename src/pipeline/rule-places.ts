// The order of rules in tiers that have one, as places on the switch: each rule has a place of its own in its table, and the
// first place has the highest OpenFlow priority. The order is by the policies' priority, then id, then the rule's index.
//
//   place   0        64       128      192 ...
//           | prio 0 | prio 1 | prio 2 |          each priority begins at 64 times its number
//           |a0a1b0  |c0c1c2..|..c70c71d0|        one that needs more moves the next ones on
//
// Where a place is depends on the rules that there are and not on how they came. Rules of one priority move when one comes or
// goes before them; those of other priorities move only where more than 64 share one.
import type { RuleResource } from "../southbound/resources.ts";

const lastPriority = 1_000;
const placesPerPriority = 64;
export const placeCount = (lastPriority + 1) * placesPerPriority;
/** More than any policy's: a policy of one rule must not take places for a million. */
const rulesPerPolicy = 1_000;

/** The rules of one policy in one table. */
interface Block {
  readonly policy: string;
  /** Ids of the resources by index of the rule: several where a named port has several numbers. */
  readonly rules: Map<number, Set<string>>;
  /** Of its first rule. */
  place: number | undefined;
}

/** The policies of one priority, in order. */
type Shelf = Block[];

function blockLength({ rules }: Block): number {
  return Math.max(...rules.keys()) + 1;
}

function shelfLength(shelf: Shelf): number {
  return shelf.reduce((sum, block) => sum + blockLength(block), 0);
}

export type RulePlace =
  /** In the order of the table, from 0. */
  | { readonly kind: "place"; readonly place: number }
  /** Why it has none, in words. */
  | { readonly kind: "none"; readonly reason: string };

function whyMisplaced({ priority, ruleIndex }: RuleResource): string | undefined {
  if (!Number.isInteger(priority) || priority < 0 || priority > lastPriority) {
    return `priority ${priority} is not between 0 and ${lastPriority}`;
  }
  return ruleIndex < rulesPerPolicy ? undefined : `a policy can have ${rulesPerPolicy} rules`;
}

/** The places in one table. */
export class RulePlaces {
  readonly #shelves = new Map<number, Shelf>();
  /** Conjunctions that one flow can list. */
  readonly #longestList: number;
  /** Priorities whose rules changed since the last `settle`. */
  readonly #dirty = new Set<number>();
  /** Resources of rules that have become too many for one flow, or are it no longer. */
  readonly #crossed = new Set<string>();
  /** Priorities that need more than their places, and so move others. */
  readonly #overfull = new Set<number>();

  constructor(longestList: number) {
    this.#longestList = longestList;
  }

  /** Takes in a rule that came or goes. */
  set(rule: RuleResource, present: boolean): void {
    if (whyMisplaced(rule) !== undefined) return;
    const { id, policy, priority, ruleIndex } = rule;
    const shelf = this.#shelves.get(priority) ?? [];
    const block = blockOf(shelf, policy, present);
    if (block === undefined) return;
    const resources = block.rules.get(ruleIndex) ?? new Set();
    const before = resources.size;
    if (present) resources.add(id);
    else resources.delete(id);
    if (before > this.#longestList !== resources.size > this.#longestList) {
      for (const resource of resources) this.#crossed.add(resource);
    }
    if (resources.size > 0) block.rules.set(ruleIndex, resources);
    else block.rules.delete(ruleIndex);
    if (block.rules.size === 0) shelf.splice(shelf.indexOf(block), 1);
    if (shelf.length > 0) this.#shelves.set(priority, shelf);
    else this.#shelves.delete(priority);
    this.#dirty.add(priority);
  }

  /**
   * Gives every rule its place. @returns ids of rules that have another than before, or have one and had none. O(policies of the
   * changed priorities), or where some priority has more rules than its places, O(policies in the table).
   */
  settle(): readonly string[] {
    if (this.#dirty.size === 0) return [];
    const hadOverfull = this.#overfull.size > 0;
    for (const priority of this.#dirty) {
      const length = shelfLength(this.#shelves.get(priority) ?? []);
      if (length > placesPerPriority) this.#overfull.add(priority);
      else this.#overfull.delete(priority);
    }
    const all = hadOverfull || this.#overfull.size > 0;
    const moved = all
      ? this.#layOutAll()
      : Array.from(this.#dirty, (priority) =>
          layOut(this.#shelves.get(priority) ?? [], priority * placesPerPriority),
        ).flat();
    this.#dirty.clear();
    if (this.#crossed.size === 0) return moved;
    const crossed = [...this.#crossed];
    this.#crossed.clear();
    return [...moved, ...crossed];
  }

  /** As of the last `settle`. */
  placeOf(rule: RuleResource): RulePlace {
    const reason = whyMisplaced(rule);
    if (reason !== undefined) return { kind: "none", reason };
    const { policy, priority, ruleIndex } = rule;
    const block = this.#shelves.get(priority)?.find((each) => each.policy === policy);
    if ((block?.rules.get(ruleIndex)?.size ?? 0) > this.#longestList) {
      return { kind: "none", reason: `a named port has more than ${this.#longestList} numbers` };
    }
    const place = (block?.place ?? placeCount) + ruleIndex;
    return place < placeCount
      ? { kind: "place", place }
      : { kind: "none", reason: `there are more than ${placeCount} rules in the tier` };
  }

  #layOutAll(): readonly string[] {
    const shelves = [...this.#shelves].toSorted(([a], [b]) => a - b);
    const starts = startsOf(shelves.map(([priority, shelf]) => [priority, shelfLength(shelf)]));
    return shelves.flatMap(([, shelf], index) => layOut(shelf, starts[index] ?? placeCount));
  }
}

function blockOf(shelf: Shelf, policy: string, present: boolean): Block | undefined {
  const found = shelf.find((each) => each.policy === policy);
  if (found !== undefined || !present) return found;
  const block = { policy, rules: new Map(), place: undefined };
  const after = shelf.findIndex((each) => each.policy > policy);
  shelf.splice(after < 0 ? shelf.length : after, 0, block);
  return block;
}

/** @returns ids of the rules that have another place than before. */
function layOut(shelf: Shelf, start: number): readonly string[] {
  const moved: string[] = [];
  let place = start;
  for (const block of shelf) {
    if (block.place !== place) {
      block.place = place;
      for (const resources of block.rules.values()) moved.push(...resources);
    }
    place += blockLength(block);
  }
  return moved;
}

/**
 * Where each shelf begins, by priority and length: at its own place, after the one before it, and early enough for all after
 * it. Where there are too many rules they stand one after the other, and the last have no place.
 */
function startsOf(shelves: readonly (readonly [number, number])[]): readonly number[] {
  const total = shelves.reduce((sum, [, length]) => sum + length, 0);
  const starts: number[] = [];
  let end = 0;
  for (const [priority, length] of shelves) {
    const own = total > placeCount ? 0 : priority * placesPerPriority;
    starts.push(Math.max(end, own));
    end = Math.max(end, own) + length;
  }
  if (total > placeCount) return starts;
  let limit = placeCount;
  for (const [index, [, length]] of [...shelves.entries()].toReversed()) {
    limit = Math.min(starts[index] ?? 0, limit - length);
    starts[index] = limit;
  }
  return starts;
}
