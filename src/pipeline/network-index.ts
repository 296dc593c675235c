// Which groups contain which addresses, without ever naming an address in a rule: every prefix that occurs in a group's
// networks is a *region*, the addresses whose longest match it is. A block, its CIDR without its exceptions, is a union of
// regions, since its CIDR and its exceptions are regions' prefixes themselves.
import {
  type Family,
  type Prefix,
  formatPrefix,
  prefixContains,
  tryParsePrefix,
} from "../net/address.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import { SetMap } from "./feature.ts";
import { PrefixSet } from "./prefix-set.ts";

interface Block {
  readonly cidr: Prefix;
  readonly except: readonly Prefix[];
}

/** `undefined` when any part cannot be read: such a block matches nothing. */
function parseBlock(block: NetworkBlock): Block | undefined {
  const cidr = tryParsePrefix(block.cidr);
  const except = block.except.map(tryParsePrefix).filter((prefix) => prefix !== undefined);
  if (cidr === undefined || except.length < block.except.length) return undefined;
  return { cidr, except };
}

/** A prefix that a group's blocks name, and whether the group contains its region: then it does so up to the next one inside. */
interface Mark {
  readonly prefix: Prefix;
  readonly inside: boolean;
}

/** The blocks that begin or end at a prefix. */
interface Edge {
  readonly prefix: Prefix;
  readonly begins: Block[];
  readonly excepts: Block[];
}

function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.bits !== b.bits) return a.bits < b.bits ? -1 : 1;
  return a.length - b.length;
}

/** Counts which blocks are open while one goes from prefix to prefix, into those that contain others and out again. */
class OpenBlocks {
  #open = 0;
  readonly #begun = new Set<Block>();
  readonly #exceptions = new Map<Block, number>();

  get any(): boolean {
    return this.#open > 0;
  }

  #isOpen(block: Block): boolean {
    return this.#begun.has(block) && (this.#exceptions.get(block) ?? 0) === 0;
  }

  #change(block: Block, change: () => void): void {
    const before = this.#isOpen(block);
    change();
    this.#open += Number(this.#isOpen(block)) - Number(before);
  }

  enter({ begins, excepts }: Edge): void {
    for (const block of begins) this.#change(block, () => this.#begun.add(block));
    for (const block of excepts) this.#except(block, 1);
  }

  leave({ begins, excepts }: Edge): void {
    for (const block of begins) this.#change(block, () => this.#begun.delete(block));
    for (const block of excepts) this.#except(block, -1);
  }

  #except(block: Block, by: number): void {
    const count = (this.#exceptions.get(block) ?? 0) + by;
    this.#change(block, () => {
      if (count > 0) this.#exceptions.set(block, count);
      else this.#exceptions.delete(block);
    });
  }
}

/** One mark for each prefix that the blocks name, in order. O(n log n) for n prefixes. */
function marksOf(blocks: readonly Block[]): ReadonlyMap<string, Mark> {
  const edges = new Map<string, Edge>();
  const edgeAt = (prefix: Prefix): Edge => {
    const key = formatPrefix(prefix);
    const known = edges.get(key) ?? { prefix, begins: [], excepts: [] };
    edges.set(key, known);
    return known;
  };
  for (const block of blocks) {
    edgeAt(block.cidr).begins.push(block);
    for (const hole of block.except) edgeAt(hole).excepts.push(block);
  }
  const marks = new Map<string, Mark>();
  const open = new OpenBlocks();
  const around: Edge[] = [];
  const sorted = [...edges].toSorted(([, a], [, b]) => comparePrefixes(a.prefix, b.prefix));
  for (const [key, edge] of sorted) {
    for (
      let last = around.at(-1);
      last !== undefined && !prefixContains(last.prefix, edge.prefix);
      last = around.at(-1)
    ) {
      open.leave(last);
      around.pop();
    }
    open.enter(edge);
    around.push(edge);
    marks.set(key, { prefix: edge.prefix, inside: open.any });
  }
  return marks;
}

const noMarks: ReadonlyMap<string, Mark> = new Map();

export class NetworkIndex {
  readonly #regions: Readonly<Record<Family, PrefixSet>> = {
    4: new PrefixSet(),
    6: new PrefixSet(),
  };
  /** Prefix → groups that name it: a region exists while one does. */
  readonly #groups = new SetMap<string, string>();
  readonly #marks = new Map<string, ReadonlyMap<string, Mark>>();
  /** Groups with a block that was not understood. */
  readonly #misread = new Set<string>();

  /** How many regions there are. */
  get size(): number {
    return this.#regions[4].size + this.#regions[6].size;
  }

  /**
   * Replaces a group's networks; none or `undefined` removes them. O(n log n) for n prefixes of the group and regions in its
   * networks, before or after.
   *
   * @returns every prefix whose region came, went or may be in other groups now.
   */
  setGroup(group: string, networks: readonly NetworkBlock[] = []): readonly Prefix[] {
    const blocks = networks.flatMap((block) => parseBlock(block) ?? []);
    if (blocks.length < networks.length) this.#misread.add(group);
    else this.#misread.delete(group);
    const before = this.#marks.get(group) ?? noMarks;
    const after = marksOf(blocks);
    const changed = new Map<string, Prefix>();
    const note = (prefix: Prefix): unknown => changed.set(formatPrefix(prefix), prefix);
    for (const prefix of this.#regionsIn(before)) note(prefix);
    // New prefixes come before old ones go, so that those in both stay.
    for (const [key, { prefix }] of after) {
      if (this.#groups.get(key).size === 0) {
        this.#regions[prefix.family].add(prefix);
        note(prefix);
      }
      this.#groups.add(key, group);
    }
    for (const [key, { prefix }] of before) {
      if (after.has(key)) continue;
      this.#groups.delete(key, group);
      if (this.#groups.get(key).size > 0) continue;
      this.#regions[prefix.family].delete(prefix);
      note(prefix);
    }
    if (after.size > 0) this.#marks.set(group, after);
    else this.#marks.delete(group);
    for (const prefix of this.#regionsIn(after)) note(prefix);
    return [...changed.values()];
  }

  /** Whether some of the group's networks could not be read, and match nothing. */
  isMisread(group: string): boolean {
    return this.#misread.has(group);
  }

  /** Whether the prefix has a region now. */
  hasRegion(prefix: Prefix): boolean {
    return this.#groups.get(formatPrefix(prefix)).size > 0;
  }

  /** The groups that contain the region of a prefix: what the nearest prefix around it says that the group names. */
  groupsOf(prefix: Prefix): ReadonlySet<string> {
    const groups = new Set<string>();
    if (!this.hasRegion(prefix)) return groups;
    const around = [...this.#regions[prefix.family].around(prefix)];
    const decided = new Set<string>();
    for (const each of around.toSorted((a, b) => b.length - a.length)) {
      const key = formatPrefix(each);
      for (const group of this.#groups.get(key)) {
        if (decided.has(group)) continue;
        decided.add(group);
        if (this.#marks.get(group)?.get(key)?.inside === true) groups.add(group);
      }
    }
    return groups;
  }

  /** The prefixes whose regions a group consists of. */
  regionsOf(group: string): readonly Prefix[] {
    return [...this.#regionsIn(this.#marks.get(group) ?? noMarks)];
  }

  /** Goes once through the regions in each outermost prefix that the marks name. */
  *#regionsIn(marks: ReadonlyMap<string, Mark>): Generator<Prefix, void, undefined> {
    let outermost: Prefix | undefined;
    for (const { prefix } of marks.values()) {
      if (outermost !== undefined && prefixContains(outermost, prefix)) continue;
      outermost = prefix;
      const around: Mark[] = [];
      for (const region of this.#regions[prefix.family].within(prefix)) {
        for (
          let last = around.at(-1);
          last !== undefined && !prefixContains(last.prefix, region);
          last = around.at(-1)
        ) {
          around.pop();
        }
        const mark = marks.get(formatPrefix(region));
        if (mark !== undefined) around.push(mark);
        if (around.at(-1)?.inside === true) yield region;
      }
    }
  }
}
