/** The switch understood a request and refused it. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly protocol: "openflow" | "ovsdb" | "unixctl";
  /** The peer's own word for the failure: an OVSDB error such as `constraint violation`, an OpenFlow type and code. */
  readonly code: string;

  constructor(protocol: PeerError["protocol"], code: string, message: string) {
    super(message);
    this.protocol = protocol;
    this.code = code;
  }
}

/**
 * The switch gave no answer: not connected, connection lost or time over. Whether a request in flight took effect is
 * unknown; reading the state again tells. Trying later may help.
 */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}
