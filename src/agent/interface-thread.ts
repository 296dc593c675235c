import { Worker } from "node:worker_threads";
import { KernelError } from "../kernel/errors.ts";
import type { InterfaceAnswer, InterfaceJob } from "./interface-plan.ts";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** A thread for work with the kernel, started when there is some. Jobs are done in their order. */
export class InterfaceThread {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #jobs = 0;

  /** @throws {KernelError} */
  async run(job: InterfaceJob): Promise<void> {
    const worker = (this.#worker ??= this.#start());
    const number = this.#jobs++;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#waiting.set(number, { resolve: () => resolve(undefined), reject });
    // The process lives as long as there is work, and no longer.
    worker.ref();
    worker.postMessage({ number, job });
    await promise;
  }

  #start(): Worker {
    const worker = new Worker(new URL("interface-worker.ts", import.meta.url));
    let reason: unknown = "it ended";
    worker.on("message", ({ number, failure }: InterfaceAnswer) => {
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (this.#waiting.size === 0) worker.unref();
      if (failure === undefined) waiting?.resolve();
      else waiting?.reject(new KernelError(failure.message, failure.code));
    });
    worker.on("error", (error) => (reason = error));
    worker.on("exit", () => {
      if (this.#worker === worker) this.#worker = undefined;
      const unanswered = [...this.#waiting.values()];
      this.#waiting.clear();
      const text = `the thread for interfaces: ${String(reason)}`;
      for (const { reject } of unanswered) reject(new KernelError(text, "", { cause: reason }));
    });
    return worker;
  }
}
