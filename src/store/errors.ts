/** The revision asked for is no longer kept. Read again from the present. */
export class CompactedError extends Error {
  override readonly name = "CompactedError";
  readonly compactRevision: number;
  constructor(revision: number, compactRevision: number) {
    super(`revision ${revision} has been compacted; the oldest kept is ${compactRevision}`);
    this.compactRevision = compactRevision;
  }
}

/** The revision asked for has not happened: the caller knew another store, or one restored from a copy. */
export class FutureRevisionError extends Error {
  override readonly name = "FutureRevisionError";
  readonly currentRevision: number;
  constructor(revision: number, currentRevision: number) {
    super(`revision ${revision} is in the future; the store is at ${currentRevision}`);
    this.currentRevision = currentRevision;
  }
}

export class LeaseNotFoundError extends Error {
  override readonly name = "LeaseNotFoundError";
  constructor(lease: number) {
    super(`lease ${lease} does not exist or has expired`);
  }
}

/** The store is closed, or its disk refused a write: nothing of the refused transaction was kept. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
}
