// How the pipeline writes a flow: tables and registers by name.
import type { Action, Flow, MatchField, Subfield } from "../openflow/flow.ts";
import { type Family, type Prefix, prefixMask, widthOf } from "../net/address.ts";
import { type KnownFieldName, fields } from "../openflow/field.ts";
import { type RegisterName, registers } from "./registers.ts";
import { type TableName, tables } from "./tables.ts";

/** A match of a field that the registry has. */
export type KnownMatch = MatchField & { readonly field: KnownFieldName };

/** A flow before its table has a number; the parts of a register in `match` may come one by one. */
export interface FlowDraft {
  readonly table: TableName;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: readonly KnownMatch[];
  readonly meter?: number;
  readonly actions?: readonly Action[];
  /** Where the packet goes on; without it and without actions it is dropped. */
  readonly next?: TableName;
}

function ones(bits: number): bigint {
  return (1n << BigInt(bits)) - 1n;
}

function fullMask(field: KnownFieldName): bigint {
  return ones(fields[field].bits);
}

/** Joins the parts that match the same field, so that each field occurs once. */
function joinParts(match: readonly KnownMatch[]): KnownMatch[] {
  const joined = new Map<string, KnownMatch>();
  for (const part of match) {
    const before = joined.get(part.field);
    if (before === undefined) {
      joined.set(part.field, part);
      continue;
    }
    const mask = (before.mask ?? fullMask(part.field)) | (part.mask ?? fullMask(part.field));
    joined.set(part.field, { field: part.field, value: before.value | part.value, mask });
  }
  return [...joined.values()];
}

/** @param draft `next` must come after `table`: packets only move forward. */
export function buildFlow(draft: FlowDraft): Flow {
  return {
    table: tables[draft.table].number,
    priority: draft.priority,
    cookie: draft.cookie,
    match: joinParts(draft.match),
    ...(draft.meter === undefined ? {} : { meter: draft.meter }),
    actions: draft.actions ?? [],
    ...(draft.next === undefined ? {} : { gotoTable: tables[draft.next].number }),
  };
}

export function subfield(name: RegisterName): Subfield {
  const { field, offset, bits } = registers[name];
  return { field, offset, bits };
}

/** All bits of a field of the packet. */
export function wholeField(field: KnownFieldName): Subfield {
  return { field, offset: 0, bits: fields[field].bits };
}

/** Value and mask of a register's bits in their field; no mask when they are all of it. */
function positioned(
  name: RegisterName,
  value: bigint,
  mask: bigint,
): { field: KnownFieldName; value: bigint; mask?: bigint } {
  const { field, offset } = registers[name];
  const shift = BigInt(offset);
  const positionedMask = mask << shift;
  const position = { field, value: value << shift };
  return positionedMask === fullMask(field) ? position : { ...position, mask: positionedMask };
}

/** Matches a register's value, or with `mask` (in the register's own bits) a part of it. */
export function whereRegister(
  name: RegisterName,
  value: number | bigint,
  mask?: bigint,
): KnownMatch {
  return positioned(name, BigInt(value), mask ?? ones(registers[name].bits));
}

/** Matches a field of the packet; `mask` as in `MatchField`. */
export function whereField(
  field: KnownFieldName,
  value: number | bigint,
  mask?: bigint,
): KnownMatch {
  return { field, value: BigInt(value), ...(mask === undefined ? {} : { mask }) };
}

export function load(name: RegisterName, value: number | bigint): Action {
  return { kind: "set-field", ...positioned(name, BigInt(value), ones(registers[name].bits)) };
}

export function setField(field: KnownFieldName, value: number | bigint): Action {
  return { kind: "set-field", field, value: BigInt(value) };
}

/** @param to has at least as many bits as `from`. */
export function move(from: Subfield, to: Subfield): Action {
  return { kind: "move", from, to: { ...to, bits: from.bits } };
}

/** Calls a function table; what it leaves in the result registers is there afterwards. */
export function call(table: TableName): Action {
  return { kind: "resubmit", table: tables[table].number };
}

/** How the two families differ. */
export const familyFields = {
  4: { etherType: 0x0800, source: "ip_src", destination: "ip_dst", argument: "argument4" },
  6: { etherType: 0x86dd, source: "ipv6_src", destination: "ipv6_dst", argument: "argument6" },
} as const satisfies Record<Family, unknown>;

export function whereFamily(family: Family): KnownMatch {
  return whereField("eth_type", familyFields[family].etherType);
}

/** Matches calls of a function with an address in the prefix. */
export function whereArgument(prefix: Prefix): KnownMatch[] {
  const { family, bits, length } = prefix;
  const kind = whereFamily(family);
  if (length === 0) return [kind];
  const mask = length === widthOf(family) ? undefined : prefixMask(family, length);
  return [kind, whereRegister(familyFields[family].argument, bits, mask)];
}
