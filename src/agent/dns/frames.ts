// DNS messages over TCP, each behind its length: RFC 7766 section 8.

const lengthBytes = 2;

export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(lengthBytes + message.length);
  frame.writeUInt16BE(message.length);
  frame.set(message, lengthBytes);
  return frame;
}

/** Cuts what comes in into messages. */
export class DnsFrames {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that are complete with these bytes. */
  take(bytes: Buffer): readonly Buffer[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const messages: Buffer[] = [];
    while (this.#rest.length >= lengthBytes) {
      const end = lengthBytes + this.#rest.readUInt16BE();
      if (this.#rest.length < end) break;
      messages.push(this.#rest.subarray(lengthBytes, end));
      this.#rest = this.#rest.subarray(end);
    }
    return messages;
  }
}
