import assert from "node:assert/strict";
import { test } from "node:test";
import { fields } from "../openflow/field.ts";
import { type Register, type RegisterName, registerNames, registers } from "./registers.ts";
import { type TableName, tableNames, tables } from "./tables.ts";

const position = new Map<TableName, number>(tableNames.map((name, index) => [name, index]));

function rankOf(table: TableName): number {
  return position.get(table) ?? -1;
}

/** The bits of `reg0` to `reg15` that it takes, each numbered from 0 to 511. */
function bitsOf({ field, offset, bits }: Register): Set<number> {
  const [, wide, number] = /^(xx)?reg(\d+)$/.exec(field) ?? [];
  assert.ok(number !== undefined, `${field} is no register`);
  // xxreg0 is reg0 to reg3, reg0 its most significant part.
  const positionOf = (at: number): number =>
    wide === undefined
      ? 32 * Number(number) + at
      : 128 * Number(number) + 32 * (3 - (at >> 5)) + (at & 31);
  return new Set(Array.from({ length: bits }, (_, index) => positionOf(offset + index)));
}

function aliveTogether(a: Register, b: Register): boolean {
  if (a.family !== undefined && b.family !== undefined && a.family !== b.family) return false;
  return a.live.some(([from, to]) =>
    b.live.some(([start, end]) => rankOf(from) <= rankOf(end) && rankOf(start) <= rankOf(to)),
  );
}

test("no two registers are alive together in the same bits", () => {
  const clashes: string[] = [];
  for (const [index, a] of registerNames.entries()) {
    for (const b of registerNames.slice(index + 1)) {
      const taken = bitsOf(registers[b]);
      const shared = [...bitsOf(registers[a])].some((bit) => taken.has(bit));
      if (shared && aliveTogether(registers[a], registers[b])) clashes.push(`${a} ${b}`);
    }
  }
  assert.deepEqual(clashes, []);
});

test("every register fits into its field", () => {
  for (const name of registerNames) {
    const { field, offset, bits } = registers[name];
    assert.ok(offset >= 0 && bits > 0 && offset + bits <= fields[field].bits, name);
  }
});

test("every register's life goes forward", () => {
  for (const name of registerNames) {
    const register: Register = registers[name];
    for (const [from, to] of register.live) assert.ok(rankOf(from) <= rankOf(to), name);
  }
});

test("tables are numbered in their order, and their numbers fit", () => {
  const numbers = tableNames.map((name) => tables[name].number);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => a - b),
  );
  assert.ok(numbers.every((number) => number >= 0 && number < 254));
});

test("a domain's number fits into a conntrack zone, which has 16 bits", () => {
  const name: RegisterName = "domain";
  assert.equal(registers[name].bits, 16);
});
