import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Address,
  type Prefix,
  formatPrefix,
  parsePrefix,
  prefixContains,
  prefixOf,
} from "../net/address.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import { NetworkIndex } from "./network-index.ts";

/** Few bits, so that prefixes nest and repeat. */
const prefixes = fc
  .tuple(fc.constantFrom(4 as const, 6 as const), fc.nat({ max: 63 }), fc.nat({ max: 6 }))
  .map(([family, bits, length]) =>
    formatPrefix(prefixOf({ family, bits: BigInt(bits) << (family === 4 ? 26n : 122n) }, length)),
  );
const blocks: fc.Arbitrary<NetworkBlock> = fc.record({
  cidr: prefixes,
  except: fc.array(prefixes, { maxLength: 3 }),
});
const steps = fc.array(
  fc.record({
    group: fc.constantFrom("a", "b", "c"),
    networks: fc.option(fc.array(blocks, { maxLength: 3 }), { nil: undefined }),
  }),
  { maxLength: 20 },
);

const addresses: readonly Address[] = ([4, 6] as const).flatMap((family) =>
  Array.from({ length: 64 }, (_, bits) => ({
    family,
    bits: BigInt(bits) << (family === 4 ? 26n : 122n),
  })),
);

function contains(networks: readonly NetworkBlock[], address: Address): boolean {
  return networks.some(
    ({ cidr, except }) =>
      prefixContains(parsePrefix(cidr), address) &&
      !except.some((each) => prefixContains(parsePrefix(each), address)),
  );
}

/** All prefixes that occur, as the switch would hold them. */
function regionsOf(groups: ReadonlyMap<string, readonly NetworkBlock[]>): Map<string, Prefix> {
  const texts = [...groups.values()].flat().flatMap(({ cidr, except }) => [cidr, ...except]);
  return new Map(texts.map((text) => [text, parsePrefix(text)]));
}

function longestMatch(regions: Iterable<Prefix>, address: Address): Prefix | undefined {
  return [...regions]
    .filter((prefix) => prefixContains(prefix, address))
    .toSorted((a, b) => b.length - a.length)[0];
}

test("an address's region is in exactly the groups that contain the address, after any changes", () => {
  fc.assert(
    fc.property(steps, (changes) => {
      const index = new NetworkIndex();
      const groups = new Map<string, readonly NetworkBlock[]>();
      for (const { group, networks } of changes) {
        const before = snapshot(index, regionsOf(groups).values());
        const changed = index.setGroup(group, networks);
        if (networks === undefined) groups.delete(group);
        else groups.set(group, networks);

        const regions = regionsOf(groups);
        assert.equal(index.size, regions.size);
        for (const address of addresses) {
          const region = longestMatch(regions.values(), address);
          const expected = [...groups.keys()].filter((id) =>
            contains(groups.get(id) ?? [], address),
          );
          const actual = region === undefined ? new Set<string>() : index.groupsOf(region);
          assert.deepEqual([...actual].toSorted(), expected.toSorted());
        }
        // Whatever differs now was announced.
        const announced = new Set(changed.map(formatPrefix));
        const after = snapshot(index, regions.values());
        for (const key of new Set([...before.keys(), ...after.keys()])) {
          if (before.get(key) !== after.get(key)) assert.ok(announced.has(key), key);
        }
        for (const [id] of groups) {
          const own = index.regionsOf(id).map(formatPrefix).toSorted();
          const expected = [...regions.values()].filter((prefix) => index.groupsOf(prefix).has(id));
          assert.deepEqual(own, expected.map(formatPrefix).toSorted());
        }
      }
      for (const id of ["a", "b", "c"]) index.setGroup(id, undefined);
      assert.equal(index.size, 0);
    }),
  );
});

/** Each region's groups, in one word. */
function snapshot(index: NetworkIndex, regions: Iterable<Prefix>): Map<string, string> {
  return new Map(
    Array.from(regions, (prefix) => [
      formatPrefix(prefix),
      [...index.groupsOf(prefix)].toSorted().join(),
    ]),
  );
}

test("a block that cannot be read matches nothing, whichever part is wrong", () => {
  const index = new NetworkIndex();
  index.setGroup("a", [
    { cidr: "10.0.0.0/8", except: ["10.0.0.0/99"] },
    { cidr: "nonsense", except: [] },
    { cidr: "192.0.2.0/24", except: [] },
  ]);
  assert.ok(index.isMisread("a"));
  index.setGroup("b", [{ cidr: "192.0.2.0/24", except: [] }]);
  assert.ok(!index.isMisread("b"));
  assert.deepEqual(index.regionsOf("a").map(formatPrefix), ["192.0.2.0/24"]);
  assert.equal(index.size, 1);
});
