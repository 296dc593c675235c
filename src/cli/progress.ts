// What goes on, on standard error, each line with the seconds since the command began.
export class Progress {
  readonly #startedAt = performance.now();

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  say(text: string): void {
    process.stderr.write(`${this.seconds.toFixed(1).padStart(6)}s  ${text}\n`);
  }
}
