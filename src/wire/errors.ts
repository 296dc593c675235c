/**
 * What is wrong with the bytes: they end too early, are not what the format says, or exceed a limit. Unsupported
 * means well formed, but of a version or kind that this side does not speak.
 */
export type DecodeErrorCode = "truncated" | "malformed" | "too-large" | "unsupported";

/** A peer's bytes, or the JSON values in them, break the protocol. The session they came from is of no further use. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly code: DecodeErrorCode;
  /** Bytes from the start of the message or stream; `undefined` where the fault is in a parsed value. */
  readonly offset: number | undefined;

  constructor(code: DecodeErrorCode, message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`);
    this.code = code;
    this.offset = offset;
  }
}
