/** A peer that should answer does not, or has closed the stream; trying again later may help. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}
