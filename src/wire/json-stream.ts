// Framing of JSON values that follow one another on a stream (RFC 8259), with nothing or white space between them, as
// OVSDB (RFC 7047 section 4), unixctl and line-delimited JSON send them.
import { DecodeError } from "./errors.ts";

const quote = 0x22;
const backslash = 0x5c;

/** `{` and `[` open a value, `}` and `]` close it; which belongs to which is left to the parser. */
function nesting(byte: number): number {
  if (byte === 0x7b || byte === 0x5b) return 1;
  return byte === 0x7d || byte === 0x5d ? -1 : 0;
}

function isWhiteSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/**
 * Cuts a byte stream into JSON objects and arrays, whatever the chunks. Each byte is looked at once. Bare strings,
 * numbers and words between them are refused: without a delimiter nobody knows where they end.
 *
 * After an error the stream has lost its place: every later call throws the same error.
 */
export class JsonStream {
  readonly #maxSize: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Chunks of the value that is not complete yet, and their size. */
  #held: Uint8Array[] = [];
  #heldSize = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Bytes consumed before the chunk at hand. */
  #offset = 0;
  #failure: DecodeError | undefined;

  /** `maxSize` is the largest value accepted, in bytes. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** The values that `chunk` completes, in order. The chunk is copied where it is kept. @throws {DecodeError} */
  push(chunk: Uint8Array): unknown[] {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return this.#split(chunk);
    } catch (error) {
      if (error instanceof DecodeError) this.#failure = error;
      throw error;
    }
  }

  /** Tells that no more bytes come. @throws {DecodeError} when they stopped inside a value. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#depth === 0) return;
    this.#failure = new DecodeError(
      "truncated",
      `expected the rest of a JSON value, got the end of the stream after ${this.#heldSize} bytes of it`,
      this.#offset,
    );
    throw this.#failure;
  }

  #split(chunk: Uint8Array): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index]!;
      if (this.#depth === 0 && nesting(byte) !== 1) {
        if (!isWhiteSpace(byte)) throw this.#unexpected(byte, index);
        start = index + 1;
      } else if (this.#closes(byte)) {
        values.push(this.#parse(chunk.subarray(start, index + 1), index));
        start = index + 1;
      }
    }
    this.#hold(chunk.subarray(start));
    this.#offset += chunk.length;
    return values;
  }

  /** Takes one byte of a value in; whether it is the last one. */
  #closes(byte: number): boolean {
    if (this.#escaped) {
      this.#escaped = false;
    } else if (this.#inString) {
      if (byte === backslash) this.#escaped = true;
      else if (byte === quote) this.#inString = false;
    } else if (byte === quote) {
      this.#inString = true;
    } else {
      const step = nesting(byte);
      this.#depth += step;
      return step === -1 && this.#depth === 0;
    }
    return false;
  }

  #hold(rest: Uint8Array): void {
    this.#checkSize(rest.length);
    if (rest.length === 0) return;
    this.#held.push(rest.slice());
    this.#heldSize += rest.length;
  }

  #parse(last: Uint8Array, index: number): unknown {
    this.#checkSize(last.length);
    try {
      let text = "";
      for (const part of this.#held) text += this.#decoder.decode(part, { stream: true });
      text += this.#decoder.decode(last);
      return JSON.parse(text);
    } catch (error) {
      throw new DecodeError(
        "malformed",
        `expected JSON in UTF-8, got: ${error instanceof Error ? error.message : String(error)}`,
        this.#offset + index,
      );
    } finally {
      this.#held = [];
      this.#heldSize = 0;
    }
  }

  #checkSize(more: number): void {
    if (this.#heldSize + more <= this.#maxSize) return;
    throw new DecodeError(
      "too-large",
      `expected a JSON value of at most ${this.#maxSize} bytes, got a larger one`,
      this.#offset,
    );
  }

  #unexpected(byte: number, index: number): DecodeError {
    const hex = byte.toString(16).padStart(2, "0");
    return new DecodeError(
      "malformed",
      `expected a JSON object or array, got byte 0x${hex}`,
      this.#offset + index,
    );
  }
}
