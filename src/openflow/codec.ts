// What each kind of message and each kind of multipart body brings to its registry.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";

/** The body: what follows the header that all of the family share. The reader ends where the body ends. */
export interface BodyCodec<T> {
  /** Number of the kind on the wire. */
  readonly type: number;
  /** @throws {RangeError} when a value does not fit */
  encode(writer: Writer, value: T): void;
  /** @throws {DecodeError} */
  decode(reader: Reader): T;
}
