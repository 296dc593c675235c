import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatPrefix, parsePrefix, prefixContains } from "../net/address.ts";
import { TakenPrefixes } from "./taken-prefixes.ts";

function next(taken: TakenPrefixes, pools: readonly string[], length: number): string | undefined {
  const found = taken.nextFree(pools.map(parsePrefix), length);
  return found && formatPrefix(found);
}

describe("TakenPrefixes", () => {
  test("a search goes round, so that what was given back is cut again last", () => {
    const taken = new TakenPrefixes();
    const cut: (string | undefined)[] = [];
    for (let round = 0; round < 5; round++) {
      const cidr = next(taken, ["10.0.0.0/30"], 32);
      cut.push(cidr);
      if (cidr === undefined) continue;
      taken.continueBehind(parsePrefix(cidr));
      taken.count(parsePrefix(cidr), 1);
      if (round === 1) taken.count(parsePrefix("10.0.0.0/32"), -1);
    }
    const order = ["10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32", "10.0.0.0/32"];
    assert.deepEqual(cut, order);
    assert.equal(next(taken, ["10.0.0.0/30"], 32), undefined);
    taken.count(parsePrefix("10.0.0.2/32"), -1);
    assert.equal(next(taken, ["10.0.0.0/30"], 32), "10.0.0.2/32");
  });

  test("what it finds overlaps nothing, and it finds something whenever there is something", () => {
    const step = fc.record({
      index: fc.nat(63),
      length: fc.integer({ min: 26, max: 32 }),
      gone: fc.boolean(),
    });
    const pools = ["10.0.0.0/27", "10.0.0.32/27"];
    const wanted = fc.integer({ min: 27, max: 32 });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), wanted, fc.nat(63), (steps, length, from) => {
        const taken = new TakenPrefixes();
        const held: string[] = [];
        for (const { index, length: own, gone } of steps) {
          const cidr = formatPrefix(parsePrefix(`10.0.0.${index}/${own}`));
          if (gone && held.includes(cidr)) {
            held.splice(held.indexOf(cidr), 1);
            taken.count(parsePrefix(cidr), -1);
          } else {
            held.push(cidr);
            taken.count(parsePrefix(cidr), 1);
          }
          // A search in between must not make a later one wrong.
          next(taken, pools, length);
        }
        taken.continueBehind(parsePrefix(`10.0.0.${from}/32`));
        const found = next(taken, pools, length);
        const isFree = (cidr: string): boolean =>
          held.every((each) => {
            const [a, b] = [parsePrefix(each), parsePrefix(cidr)];
            return !prefixContains(a, b) && !prefixContains(b, a);
          });
        if (found !== undefined) assert.ok(isFree(found), found);
        const all = Array.from({ length: 64 }, (_, index) =>
          formatPrefix(parsePrefix(`10.0.0.${index}/${length}`)),
        );
        assert.equal(found === undefined, !all.some(isFree));
      }),
    );
  });
});
