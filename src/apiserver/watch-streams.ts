import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { numberOf } from "./api-request.ts";
import type { ObjectWatch } from "./watch-objects.ts";

/** Watches without a timeout of their own end after 30 to 60 minutes, so that clients spread over servers again. */
const defaultTimeoutSeconds = 30 * 60;

export interface StreamLimits {
  /** Time between bookmarks. */
  readonly bookmarkIntervalMs: number;
  /** A client that takes no bytes for so long, while some wait for it, is cut off. */
  readonly stallTimeoutMs: number;
}

/** The watches that are being served, as chunked responses. */
export class WatchStreams {
  readonly #limits: StreamLimits;
  readonly #watches = new Set<ObjectWatch>();

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Serves a watch until it ends, its time is over, or its client goes or stalls. */
  async serve(watch: ObjectWatch, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const timeoutSeconds =
      numberOf(query, "timeoutSeconds") || defaultTimeoutSeconds * (1 + Math.random());
    const end = (): void => watch.close();
    const timeout = setTimeout(end, timeoutSeconds * 1000);
    const bookmarks = setInterval(() => watch.requestBookmark(), this.#limits.bookmarkIntervalMs);
    response.on("close", end);
    this.#watches.add(watch);
    try {
      const contentType = "application/json";
      response.writeHead(200, {
        "content-type": contentType,
        "cache-control": "no-cache, private",
      });
      response.flushHeaders();
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
    try {
      await Promise.race([once(response, "drain"), once(response, "close")]);
    } finally {
      clearTimeout(stalled);
    }
  }
}
