/** A message that is not one of RFC 1035. */
export class MessageError extends Error {
  override readonly name = "MessageError";
}
