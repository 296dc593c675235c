import { setTimeout as sleep } from "node:timers/promises";

/** Settles when it holds, and has not failed. @throws {Error} with `what`, and with the last failure to find out, when that takes too long. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    try {
      if (await holds()) return;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`${what} did not come in ${timeoutMs} ms`, { cause: failure });
    }
    await sleep(50);
  }
}
