// The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as far as JSON-like messages need it.

/** A message is wrong, or ends too early. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Writes one message, field by field. */
export class ProtobufWriter {
  readonly #chunks: Uint8Array[] = [];

  text(field: number, value: string): void {
    this.bytes(field, Buffer.from(value, "utf8"));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#chunks.push(varint((field << 3) | wireType.bytes), varint(value.length), value);
  }

  boolean(field: number, value: boolean): void {
    this.integer(field, value ? 1 : 0);
  }

  /** A whole number of at least 0. */
  integer(field: number, value: number): void {
    this.#chunks.push(varint((field << 3) | wireType.varint), varint(value));
  }

  double(field: number, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.#chunks.push(varint((field << 3) | wireType.fixed64), bytes);
  }

  message(field: number, write: (writer: ProtobufWriter) => void): void {
    const inner = new ProtobufWriter();
    write(inner);
    this.bytes(field, inner.encode());
  }

  encode(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** `value` is a number of 64 bits, or the bytes of a string, a message or a fixed-width number. */
export interface ProtobufField {
  readonly number: number;
  readonly value: bigint | Buffer;
}

/** The fields of one message in the order of its bytes. @throws {ProtobufError} */
export function* readFields(message: Buffer): Generator<ProtobufField, void> {
  let offset = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[offset++];
      if (byte === undefined) throw new ProtobufError("the message ends within a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError("a number has more than 10 bytes");
  };
  const readBytes = (length: bigint): Buffer => {
    const end = BigInt(offset) + length;
    if (end > BigInt(message.length)) throw new ProtobufError("the message ends within a field");
    const bytes = message.subarray(offset, Number(end));
    offset = Number(end);
    return bytes;
  };
  while (offset < message.length) {
    const tag = readVarint();
    const number = Number(tag >> 3n);
    switch (Number(tag & 7n)) {
      case wireType.varint:
        yield { number, value: readVarint() };
        break;
      case wireType.fixed64:
        yield { number, value: readBytes(8n) };
        break;
      case wireType.bytes:
        yield { number, value: readBytes(readVarint()) };
        break;
      case wireType.fixed32:
        yield { number, value: readBytes(4n) };
        break;
      default:
        throw new ProtobufError(`field ${number} has an unknown wire type`);
    }
  }
}
