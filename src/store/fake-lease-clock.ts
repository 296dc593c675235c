import type { LeaseClock } from "./clock.ts";

/** Time that passes only when a test says so. */
export class FakeLeaseClock implements LeaseClock {
  #nowMs = 0;
  #alarms: { atMs: number; action: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const alarm = { atMs: this.#nowMs + delayMs, action };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  }

  /** Fires what falls due and gives its consequences some turns to happen. */
  async advance(ms: number): Promise<void> {
    this.#nowMs += ms;
    const due = this.#alarms.filter((alarm) => alarm.atMs <= this.#nowMs);
    this.#alarms = this.#alarms.filter((alarm) => alarm.atMs > this.#nowMs);
    for (const { action } of due) action();
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}
