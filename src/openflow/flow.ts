// Flows as plain data: what the pipeline renders and the codec encodes. Names are those of ovs-fields(7) and
// ovs-actions(7).
import type { FieldName } from "./field.ts";

/** Absent `mask` means all bits. Both are unsigned numbers, the field's first bit on the wire most significant. */
export interface MatchField {
  readonly field: FieldName;
  readonly value: bigint;
  readonly mask?: bigint;
}

/** In any order; the codec adds nothing, so prerequisites (`eth_type` for `ip_src`) are the caller's. */
export type Match = readonly MatchField[];

/** `bits` bits of a field from bit `offset`, counted from the least significant. */
export interface Subfield {
  readonly field: FieldName;
  readonly offset: number;
  readonly bits: number;
}

export interface Nat {
  /** Neither source nor destination: undo the translation of the connection that the packet belongs to. */
  readonly type?: "src" | "dst";
  readonly addressMin?: string;
  readonly addressMax?: string;
  readonly portMin?: number;
  readonly portMax?: number;
  readonly flags?: readonly ("persistent" | "hash" | "random")[];
}

/** A part of a learnt flow: a match or a load of `to`, with a value or what a field of the packet has now. */
export interface LearnPart {
  readonly kind: "match" | "load";
  readonly to: Subfield;
  /** As wide as `to`. */
  readonly from: bigint | Subfield;
}

export type Action =
  | { readonly kind: "output"; readonly port: number; readonly maxLength?: number }
  | { readonly kind: "output-field"; readonly from: Subfield; readonly maxLength?: number }
  | {
      readonly kind: "controller";
      readonly maxLength?: number;
      readonly controllerId?: number;
      readonly reason?: number;
      readonly userdata?: Uint8Array;
      readonly pause?: boolean;
      readonly meter?: number;
    }
  | { readonly kind: "group"; readonly group: number }
  | {
      readonly kind: "resubmit";
      readonly table: number;
      readonly port?: number;
      /** Match on the original tuple of the connection (resubmit(,T,ct)). */
      readonly ct?: boolean;
    }
  | {
      readonly kind: "set-field";
      readonly field: FieldName;
      readonly value: bigint;
      readonly mask?: bigint;
    }
  | { readonly kind: "move"; readonly from: Subfield; readonly to: Subfield }
  | {
      readonly kind: "ct";
      readonly commit?: boolean;
      readonly force?: boolean;
      readonly zone: number | Subfield;
      readonly table?: number;
      readonly alg?: number;
      readonly nat?: Nat;
      /** Only set-field and move to `ct_mark` and `ct_label`. */
      readonly exec?: readonly Action[];
    }
  | { readonly kind: "ct-clear" }
  /** Adds a flow, made of this packet. */
  | {
      readonly kind: "learn";
      readonly table: number;
      readonly priority: number;
      readonly cookie: bigint;
      readonly idleTimeoutSeconds?: number;
      readonly hardTimeoutSeconds?: number;
      readonly parts: readonly LearnPart[];
    }
  | {
      readonly kind: "conjunction";
      readonly id: number;
      /** From 1 to `clauses`. */
      readonly clause: number;
      readonly clauses: number;
    }
  | { readonly kind: "dec-ttl" }
  | { readonly kind: "push-vlan"; readonly etherType: number }
  | { readonly kind: "pop-vlan" }
  | { readonly kind: "set-queue"; readonly queue: number }
  | { readonly kind: "note"; readonly bytes: Uint8Array }
  | {
      readonly kind: "sample";
      readonly probability: number;
      readonly collectorSet: number;
      readonly domain: number;
      readonly point: number;
    }
  /** What the codec does not know, kept byte for byte. */
  | { readonly kind: "unknown"; readonly type: number; readonly bytes: Uint8Array };

/** One flow entry; `table`, `priority` and `match` identify it. No actions and no `gotoTable` is a drop. */
export interface Flow {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: Match;
  readonly meter?: number;
  /** The apply-actions instruction. */
  readonly actions: readonly Action[];
  readonly gotoTable?: number;
  /** Instructions other than those above, byte for byte: what others installed. */
  readonly otherInstructions?: Uint8Array;
  readonly idleTimeoutSeconds?: number;
  readonly hardTimeoutSeconds?: number;
}
