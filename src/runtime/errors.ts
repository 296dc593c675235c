/** A peer that should answer does not, or has closed the stream; trying again later may help. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}

/** A program that is needed (`ip`, `nft`, `ethtool`, …) failed; the message holds what it said. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
