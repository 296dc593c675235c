// Cutting a byte stream into messages: OpenFlow Switch Specification 1.5.1, section 7.1.1.
import { DecodeError } from "../wire/errors.ts";
import { headerSize } from "./message.ts";

const empty = new Uint8Array();

/**
 * Takes chunks of any size and gives whole messages. A message has at most 65535 bytes, as its length field has 16 bits, so no
 * more than that is ever held back. After an error the stream has lost its place and must be closed.
 */
export class Framer {
  #held: Uint8Array = empty;

  /** The messages that `chunk` completes, in order, as views of it where they lie in one chunk. @throws {DecodeError} */
  push(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    // Plain bytes: a subclass, such as a Buffer, would hand itself on to every part of a message.
    let bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#held.length > 0) {
      bytes = new Uint8Array(this.#held.length + chunk.length);
      bytes.set(this.#held);
      bytes.set(chunk, this.#held.length);
    }
    let start = 0;
    while (bytes.length - start >= headerSize) {
      const length = (bytes[start + 2]! << 8) | bytes[start + 3]!;
      if (length < headerSize) {
        throw new DecodeError("malformed", `expected a message of at least 8 bytes, got ${length}`);
      }
      if (bytes.length - start < length) break;
      messages.push(bytes.subarray(start, start + length));
      start += length;
    }
    // A copy: the caller may use the chunk's memory again.
    this.#held = start === bytes.length ? empty : bytes.slice(start);
    return messages;
  }
}
