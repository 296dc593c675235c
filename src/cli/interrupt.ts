import { constants } from "node:os";
import { CliError } from "./errors.ts";

/** Takes note of Ctrl-C and SIGTERM until it is disposed of; a second one ends the process. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #interrupt = (signal: NodeJS.Signals): void => {
    // As shells tell a command that a signal has ended.
    process.exitCode = 128 + constants.signals[signal];
    this.#controller.abort(new CliError("interrupted"));
  };

  constructor() {
    process.once("SIGINT", this.#interrupt);
    process.once("SIGTERM", this.#interrupt);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Settles as the work does. @throws {CliError} when interrupted before that; the work is not stopped */
  async orThrow<Result>(work: Promise<Result>): Promise<Result> {
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(this.signal.reason);
    if (this.signal.aborted) abort();
    this.signal.addEventListener("abort", abort);
    try {
      return await Promise.race([work, promise]);
    } finally {
      this.signal.removeEventListener("abort", abort);
    }
  }

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#interrupt);
    process.off("SIGTERM", this.#interrupt);
  }
}
