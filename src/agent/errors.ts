/** Why an attachment cannot be made, in the words and codes of the agent's local socket. */
export class AttachError extends Error {
  override readonly name = "AttachError";
  readonly code: "timeout" | "unknown-endpoint" | "no-address" | "invalid" | "internal";

  constructor(code: AttachError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
