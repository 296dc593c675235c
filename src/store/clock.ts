/** Time for leases. */
export interface LeaseClock {
  /** Never goes back. */
  nowMs(): number;
  /** Runs `action` once, after `delayMs`; the returned function calls it off. */
  after(delayMs: number, action: () => void): () => void;
}

/** setTimeout fires at once for longer delays. */
const longestDelayMs = 2 ** 31 - 1;

export const systemLeaseClock: LeaseClock = {
  nowMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(delayMs, longestDelayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
