// Numbers that stand for wire ids on one node: registers, labels and conntrack zones have 16 or 32 bits, ids are text.

import { namesOf } from "./names.ts";

/** What is numbered, and the numbers it may get. Both ends included; what is below `first` has a fixed meaning. */
export const numberRanges = {
  /** Conntrack zones; the last one is that of hairpins. */
  domain: { first: 1, last: 0xfffe },
  node: { first: 1, last: 0xffff },
  identity: { first: 16, last: 0xffffffff },
  region: { first: 1, last: 0xffffffff },
  names: { first: 1, last: 0xffffffff },
  rule: { first: 16, last: 0xffffffff },
  /** Each has two groups' numbers; OFPG_MAX is the last. */
  service: { first: 1, last: 0x7fffff7f },
  /** Buckets' numbers as well. */
  backend: { first: 1, last: 0xfffffeff },
} as const;

export type NumberKind = keyof typeof numberRanges;

/** Keeps the numbers of what the flows name. The pipeline is its only user. */
export interface Numbers {
  /** The key's number, the same until it is released. */
  numberOf(kind: NumberKind, key: string): number;
  /** No flow names it any more. */
  release(kind: NumberKind, key: string): void;
}

/** A number in use, as it is stored across restarts. */
export interface NumberEntry {
  readonly kind: NumberKind;
  readonly key: string;
  readonly number: number;
}

/** Freed numbers that wait before they are used again: records and connections may still name them. */
const waiting = 1024;

interface Space {
  readonly byKey: Map<string, number>;
  /** In the order in which they were freed. */
  readonly freed: number[];
  next: number;
}

function emptySpace(kind: NumberKind): Space {
  return { byKey: new Map(), freed: [], next: numberRanges[kind].first };
}

/** Small numbers first, and a freed number is used again only after `waiting` others were freed. */
export class LocalNumbers implements Numbers {
  readonly #spaces: Record<NumberKind, Space>;

  /** @param entries what `entries` gave before a restart. */
  constructor(entries: Iterable<NumberEntry> = []) {
    this.#spaces = {
      domain: emptySpace("domain"),
      node: emptySpace("node"),
      identity: emptySpace("identity"),
      region: emptySpace("region"),
      names: emptySpace("names"),
      rule: emptySpace("rule"),
      service: emptySpace("service"),
      backend: emptySpace("backend"),
    };
    for (const { kind, key, number } of entries) this.#spaces[kind].byKey.set(key, number);
    for (const kind of namesOf(numberRanges)) this.#findFreed(kind);
  }

  #findFreed(kind: NumberKind): void {
    const space = this.#spaces[kind];
    const used = new Set(space.byKey.values());
    const first = numberRanges[kind].first;
    for (const number of used) space.next = Math.max(space.next, number + 1);
    for (let number = first; number < space.next; number++) {
      if (!used.has(number)) space.freed.push(number);
    }
  }

  /** @throws {RangeError} when all numbers of the kind are in use. */
  numberOf(kind: NumberKind, key: string): number {
    const space = this.#spaces[kind];
    const known = space.byKey.get(key);
    if (known !== undefined) return known;
    const exhausted = space.next > numberRanges[kind].last;
    const number = space.freed.length > waiting || exhausted ? space.freed.shift() : space.next++;
    if (number === undefined) throw new RangeError(`no ${kind} number is free for ${key}`);
    space.byKey.set(key, number);
    return number;
  }

  release(kind: NumberKind, key: string): void {
    const space = this.#spaces[kind];
    const number = space.byKey.get(key);
    if (number === undefined) return;
    space.byKey.delete(key);
    space.freed.push(number);
  }

  /** Everything in use, for storage. */
  *entries(): Iterable<NumberEntry> {
    for (const kind of namesOf(this.#spaces)) {
      for (const [key, number] of this.#spaces[kind].byKey) yield { kind, key, number };
    }
  }
}
