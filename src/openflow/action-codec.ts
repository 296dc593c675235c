// What a kind of action brings to its family's registry.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { Action } from "./flow.ts";

export type ActionOf<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/** Lists of actions within an action. */
export interface ActionList {
  encode(writer: Writer, actions: readonly Action[]): void;
  /** Reads to the reader's end. */
  decode(reader: Reader): Action[];
}

/**
 * The body of an action: what stands between its header and the zeros that fill it up to 8 bytes. A decoder may leave
 * padding unread. `nested` is there for the actions that hold others.
 */
export interface ActionCodec<A extends Action> {
  /** The action's type, or within Nicira's actions its subtype. */
  readonly type: number;
  encode(writer: Writer, action: A, nested: ActionList): void;
  decode(reader: Reader, nested: ActionList): A;
}

export type ActionRegistry<K extends Action["kind"]> = {
  readonly [P in K]: ActionCodec<ActionOf<P>>;
};
