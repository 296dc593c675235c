import type { AttachFailure } from "../southbound/attachment.ts";

/** Why an attachment cannot be made, in the words and codes of the agent's local socket. */
export class AttachError extends Error {
  override readonly name = "AttachError";
  readonly code: AttachFailure;

  constructor(code: AttachFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The bridge is used by somebody else than the agent. */
export class BridgeTakenError extends Error {
  override readonly name = "BridgeTakenError";
}
