import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "./log.ts";

export interface ServiceOptions {
  readonly log: Log;
  /** Time that `run` has to return once the signal is aborted. */
  readonly graceMs: number;
}

/**
 * Runs a process's main function until it returns, fails, or SIGTERM or SIGINT asks it to stop by aborting `signal`.
 * Sets the exit code: 0 after a clean stop, 1 after a failure. A second signal, or a stop that takes longer than the
 * grace time, ends the process at once.
 */
export async function runService(
  { log, graceMs }: ServiceOptions,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(1);
    log.info({ signal: name }, "stopping");
    controller.abort();
    setTimeout(() => {
      log.error({ graceMs }, "the stop took too long");
      process.exit(1);
    }, graceMs).unref();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  try {
    await run(controller.signal);
    process.exitCode = 0;
  } catch (error) {
    log.fatal({ err: error }, "failed");
    process.exitCode = 1;
  } finally {
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
  }
}

/** Waits; returns early, without an error, when `signal` is aborted. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch {
    // Only an abort ends a timer early.
  }
}

/** Resolves when `signal` is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}

/** What the promise gives. @throws {unknown} the signal's reason, when that is aborted first */
export async function unlessAborted<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const ended = Promise.withResolvers<never>();
  const abort = (): void => ended.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, ended.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
