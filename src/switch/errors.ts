import type { ErrorMessage } from "../openflow/error-message.ts";
import { formatFlow } from "../openflow/format.ts";
import type { Message } from "../openflow/message.ts";

/** OFPET_HELLO_FAILED. */
const helloFailed = 0;

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

/** An OpenFlow error with the request that caused it; the code is a name such as `OFPBMC_BAD_PREREQ`. */
export class OpenFlowError extends PeerError {
  readonly request: Message;

  constructor(peer: string, error: ErrorMessage, request: Message) {
    super("openflow", error.name, `${peer}: ${describeRequest(request)}: ${describeError(error)}`);
    this.request = request;
  }
}

/** A bundle that the switch did not take: nothing of it is in force. The code is that of the first refusal. */
export class BundleError extends PeerError {
  /** What was refused, in the order of the switch's errors; others of the bundle may be wrong as well. */
  readonly refusals: readonly OpenFlowError[];

  /** At least one refusal. */
  constructor(refusals: readonly OpenFlowError[]) {
    const first = refusals[0]!;
    super("openflow", first.code, `${first.message} (${refusals.length} refused in the bundle)`);
    this.refusals = refusals;
  }
}

function describeRequest(request: Message): string {
  return request.kind === "flow-mod"
    ? `${request.command} ${formatFlow(request.flow)}`
    : request.kind;
}

/** When the version negotiation fails the switch says why in words. */
function describeError(error: ErrorMessage): string {
  if (error.type !== helloFailed) return error.name;
  return `${error.name}: ${new TextDecoder().decode(error.data)}`;
}
