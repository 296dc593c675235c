import type { Status } from "./status.ts";

/** A label or field selector that does not parse. The message is upstream's. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

/** A patch that is malformed or does not fit the object it is for. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** A request that ends with a Status object. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: Status;

  constructor(status: Status) {
    super(status.message);
    this.status = status;
  }
}
