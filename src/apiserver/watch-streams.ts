import type { ServerResponse } from "node:http";
import type { ObjectWatch } from "./watch-objects.ts";

/** Watches without a timeout of their own end after 30 to 60 minutes, so that clients spread over servers again. */
const defaultTimeoutSeconds = 30 * 60;

const longestTimeoutSeconds = 24 * 60 * 60;

export interface StreamLimits {
  /** Time between bookmarks. */
  readonly bookmarkIntervalMs: number;
  /** A client that for so long does not take what it was sent last, some 100 KB, is cut off. */
  readonly stallTimeoutMs: number;
}

/** The watches that are being served, as chunked responses. */
export class WatchStreams {
  readonly #limits: StreamLimits;
  readonly #watches = new Set<ObjectWatch>();

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Watches that are open. */
  get size(): number {
    return this.#watches.size;
  }

  /** Serves a watch until it ends, its time is over, or its client goes or stalls. */
  async serve(watch: ObjectWatch, response: ServerResponse): Promise<void> {
    const { timeoutSeconds = defaultTimeoutSeconds * (1 + Math.random()) } = watch;
    const end = (): void => watch.close();
    const timeout = setTimeout(end, Math.min(timeoutSeconds, longestTimeoutSeconds) * 1000);
    const bookmarks = setInterval(() => watch.requestBookmark(), this.#limits.bookmarkIntervalMs);
    response.on("close", end);
    // A broken connection is closed, and that is all there is to know.
    response.on("error", end);
    this.#watches.add(watch);
    try {
      const headers = { "content-type": "application/json", "cache-control": "no-cache, private" };
      response.writeHead(200, headers).flushHeaders();
      await watch.run((lines) => this.#write(response, lines));
    } finally {
      clearTimeout(timeout);
      clearInterval(bookmarks);
      this.#watches.delete(watch);
      response.end();
    }
  }

  /** Ends all watches; clients see a complete response and come back. */
  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  async #write(response: ServerResponse, lines: string): Promise<void> {
    if (response.destroyed || response.write(lines)) return;
    const stalled = setTimeout(() => response.destroy(), this.#limits.stallTimeoutMs);
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once("drain", resolve).once("close", resolve);
    await promise;
    response.off("drain", resolve).off("close", resolve);
    clearTimeout(stalled);
  }
}
