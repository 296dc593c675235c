import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { coverPortRange } from "./port-range.ts";

test("known ranges have the covers that one would write by hand", () => {
  assert.deepEqual(coverPortRange(80, 80), [{ value: 80, mask: 0xffff }]);
  assert.deepEqual(coverPortRange(0, 65535), [{ value: 0, mask: 0 }]);
  assert.deepEqual(coverPortRange(8080, 8083), [{ value: 8080, mask: 0xfffc }]);
  assert.deepEqual(coverPortRange(1, 3), [
    { value: 1, mask: 0xffff },
    { value: 2, mask: 0xfffe },
  ]);
});

test("a cover matches the ports of its range, each once, and no other, with at most 30 masks", () => {
  const port = fc.integer({ min: 0, max: 65535 });
  fc.assert(
    fc.property(port, port, (a, b) => {
      const [from, to] = a <= b ? [a, b] : [b, a];
      const covers = coverPortRange(from, to);
      assert.ok(covers.length <= 30);
      const matched = covers.map(({ value, mask }) => {
        assert.equal(value & mask, value);
        return [value, value + (0xffff - mask)] as const;
      });
      assert.equal(matched[0]?.[0], from);
      assert.equal(matched.at(-1)?.[1], to);
      for (const [index, [start]] of matched.entries()) {
        if (index > 0) assert.equal(start, (matched[index - 1]?.[1] ?? 0) + 1);
      }
    }),
  );
});

test("what is no range of ports has no cover", () => {
  for (const [from, to] of [
    [5, 4],
    [-1, 4],
    [0, 65536],
    [1.5, 2],
    [Number.NaN, 2],
  ] as const) {
    assert.deepEqual(coverPortRange(from, to), []);
  }
});
