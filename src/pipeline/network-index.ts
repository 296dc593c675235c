// Which groups contain which addresses, without ever naming an address in a rule: every prefix that occurs in a group's
// networks is a *region*, the addresses whose longest match it is. A block, its CIDR without its exceptions, is a union of
// regions, since its CIDR and its exceptions are regions' prefixes themselves.
import { type Prefix, formatPrefix, prefixContains, tryParsePrefix } from "../net/address.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import { SetMap } from "./feature.ts";
import { PrefixSet } from "./prefix-set.ts";

interface Block {
  readonly group: string;
  readonly cidr: Prefix;
  readonly except: readonly Prefix[];
}

/** `undefined` when any part cannot be read: such a block matches nothing. */
function parseBlock(group: string, block: NetworkBlock): Block | undefined {
  const cidr = tryParsePrefix(block.cidr);
  const except = block.except.map(tryParsePrefix).filter((prefix) => prefix !== undefined);
  if (cidr === undefined || except.length < block.except.length) return undefined;
  return { group, cidr, except };
}

function contains(block: Block, prefix: Prefix): boolean {
  return (
    prefixContains(block.cidr, prefix) &&
    !block.except.some((except) => prefixContains(except, prefix))
  );
}

export class NetworkIndex {
  readonly #regions = { 4: new PrefixSet(), 6: new PrefixSet() } as const;
  /** How often a prefix occurs in blocks; a region exists while it does. */
  readonly #uses = new Map<string, number>();
  readonly #blocksByCidr = new SetMap<string, Block>();
  readonly #blocksByGroup = new Map<string, readonly Block[]>();
  /** Groups with a block that was not understood. */
  readonly #misread = new Set<string>();

  /** How many regions there are. */
  get size(): number {
    return this.#regions[4].size + this.#regions[6].size;
  }

  /**
   * Replaces a group's networks; none or `undefined` removes them.
   *
   * @returns every prefix whose region came, went or may be in other groups now.
   */
  setGroup(group: string, networks: readonly NetworkBlock[] = []): readonly Prefix[] {
    const changed = new Map<string, Prefix>();
    const blocks = networks.flatMap((block) => parseBlock(group, block) ?? []);
    if (blocks.length < networks.length) this.#misread.add(group);
    else this.#misread.delete(group);
    // New prefixes come before old ones go, so that those in both stay.
    for (const block of blocks) this.#addBlock(block, changed);
    for (const block of this.#blocksByGroup.get(group) ?? []) this.#deleteBlock(block, changed);
    if (blocks.length > 0) this.#blocksByGroup.set(group, blocks);
    else this.#blocksByGroup.delete(group);
    return [...changed.values()];
  }

  #addBlock(block: Block, changed: Map<string, Prefix>): void {
    for (const prefix of [block.cidr, ...block.except]) {
      const key = formatPrefix(prefix);
      const uses = this.#uses.get(key) ?? 0;
      this.#uses.set(key, uses + 1);
      if (uses > 0) continue;
      this.#regions[prefix.family].add(prefix);
      changed.set(key, prefix);
    }
    this.#blocksByCidr.add(formatPrefix(block.cidr), block);
    this.#noteRegionsOf(block, changed);
  }

  #deleteBlock(block: Block, changed: Map<string, Prefix>): void {
    this.#noteRegionsOf(block, changed);
    this.#blocksByCidr.delete(formatPrefix(block.cidr), block);
    for (const prefix of [block.cidr, ...block.except]) {
      const key = formatPrefix(prefix);
      const uses = (this.#uses.get(key) ?? 0) - 1;
      if (uses > 0) {
        this.#uses.set(key, uses);
        continue;
      }
      this.#uses.delete(key);
      this.#regions[prefix.family].delete(prefix);
      changed.set(key, prefix);
    }
  }

  #noteRegionsOf(block: Block, changed: Map<string, Prefix>): void {
    for (const prefix of this.#regions[block.cidr.family].within(block.cidr)) {
      if (contains(block, prefix)) changed.set(formatPrefix(prefix), prefix);
    }
  }

  /** Whether some of the group's networks could not be read, and match nothing. */
  isMisread(group: string): boolean {
    return this.#misread.has(group);
  }

  /** Whether the prefix has a region now. */
  hasRegion(prefix: Prefix): boolean {
    return this.#uses.has(formatPrefix(prefix));
  }

  /** The groups that contain the region of a prefix. */
  groupsOf(prefix: Prefix): ReadonlySet<string> {
    const groups = new Set<string>();
    if (!this.hasRegion(prefix)) return groups;
    for (const around of this.#regions[prefix.family].around(prefix)) {
      for (const block of this.#blocksByCidr.get(formatPrefix(around))) {
        if (contains(block, prefix)) groups.add(block.group);
      }
    }
    return groups;
  }

  /** The prefixes whose regions a group consists of. */
  regionsOf(group: string): readonly Prefix[] {
    const found = new Map<string, Prefix>();
    for (const block of this.#blocksByGroup.get(group) ?? []) this.#noteRegionsOf(block, found);
    return [...found.values()];
  }
}
