// Writing of packed binary structures in network byte order.

const initialSize = 256;
const encoder = new TextEncoder();

/** Appends to a buffer that grows as needed. Lengths known only later are patched in afterwards. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #size = 0;

  /** `capacity` is a first guess in bytes; a good one saves copies. */
  constructor(capacity: number = initialSize) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far: the offset of the next one. */
  get size(): number {
    return this.#size;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
  }

  u64(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value);
  }

  /** The low `size` bytes of an unsigned number. */
  uint(value: bigint, size: number): void {
    switch (size) {
      case 1:
        return this.u8(Number(value));
      case 2:
        return this.u16(Number(value));
      case 4:
        return this.u32(Number(value));
      case 8:
        return this.u64(value);
      case 16:
        this.u64(value >> 64n);
        return this.u64(value);
      default:
        for (let shift = 8 * (size - 1); shift >= 0; shift -= 8) {
          this.u8(Number((value >> BigInt(shift)) & 0xffn));
        }
    }
  }

  bytes(value: Uint8Array): void {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
  }

  /** Text in a field of fixed size with a zero byte at its end; what does not fit is cut off. */
  text(value: string, size: number): void {
    const at = this.#grow(size);
    this.#bytes.fill(0, at, at + size);
    encoder.encodeInto(value, this.#bytes.subarray(at, at + size - 1));
  }

  zeros(size: number): void {
    const at = this.#grow(size);
    // Mostly a few bytes of padding, for which `fill` takes longer.
    for (let index = at; index < at + size; index++) this.#bytes[index] = 0;
  }

  /** Zeros until the bytes since `start` are a multiple of 8. */
  align8(start: number): void {
    this.zeros((8 - ((this.#size - start) % 8)) % 8);
  }

  /** Overwrites two bytes written before. */
  patchU16(at: number, value: number): void {
    this.#view.setUint16(at, value);
  }

  /** What was written, as a view that the next write or `clear` may change. */
  view(start = 0): Uint8Array {
    return this.#bytes.subarray(start, this.#size);
  }

  /** Forgets what was written and keeps the buffer. Earlier views change with the next write. */
  clear(): void {
    this.#size = 0;
  }

  /** Makes room and returns where it begins. Replaces the view, so the view must not be looked up before. */
  #grow(size: number): number {
    const at = this.#size;
    const needed = at + size;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#size = needed;
    return at;
  }
}
