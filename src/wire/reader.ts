// Reading of packed binary structures in network byte order.
import { DecodeError } from "./errors.ts";

const decoder = new TextDecoder();

/**
 * A cursor over bytes that never reads past its end: what is missing is a `DecodeError` ("truncated") with the offset from
 * the start of the outermost reader. Byte strings are views of the input, not copies.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array);
  /** A reader within another one; `Reader.sub` is the way to get it. */
  constructor(bytes: Uint8Array, view: DataView, offset: number, end: number);
  constructor(bytes: Uint8Array, view?: DataView, offset = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = view ?? new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#offset = offset;
    this.#end = end;
  }

  /** Bytes from the start of the outermost reader. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#end - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  /** An unsigned number of 1, 2, 3, 4, 6, 8 or any other number of bytes. */
  uint(size: number): bigint {
    switch (size) {
      case 1:
        return BigInt(this.u8());
      case 2:
        return BigInt(this.u16());
      case 4:
        return BigInt(this.u32());
      case 6:
        return BigInt(this.u16() * 0x1_0000_0000 + this.u32());
      case 8:
        return this.u64();
      case 16:
        return (this.u64() << 64n) | this.u64();
      default: {
        let value = 0n;
        for (const byte of this.bytes(size)) value = (value << 8n) | BigInt(byte);
        return value;
      }
    }
  }

  bytes(size: number): Uint8Array {
    const start = this.#advance(size);
    return this.#bytes.subarray(start, start + size);
  }

  /** Everything that is left. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  skip(size: number): void {
    this.#advance(size);
  }

  /** A reader of the next `size` bytes, which this one skips. */
  sub(size: number): Reader {
    const start = this.#advance(size);
    return new Reader(this.#bytes, this.#view, start, start + size);
  }

  /** A second cursor at the same place, to look ahead. */
  fork(): Reader {
    return new Reader(this.#bytes, this.#view, this.#offset, this.#end);
  }

  /** Text in a field of fixed size, which ends at the first zero byte. Wrong UTF-8 becomes U+FFFD. */
  text(size: number): string {
    const bytes = this.bytes(size);
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** An error about what was read last or comes next. */
  error(message: string, code: DecodeError["code"] = "malformed"): DecodeError {
    return new DecodeError(code, message, this.#offset);
  }

  #advance(size: number): number {
    const start = this.#offset;
    if (size > this.#end - start) {
      throw new DecodeError(
        "truncated",
        `expected ${size} more bytes, got ${this.#end - start}`,
        start,
      );
    }
    this.#offset = start + size;
    return start;
  }
}
