import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { Backoff } from "../runtime/backoff.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { ApiClient } from "./api-client.ts";
import { UnavailableError } from "./errors.ts";
import { type WatchEvent, watchKind } from "./watch-stream.ts";

const pageLength = 500;

/** Nothing changes on any node while this waits, and those who wait are a few controllers: not so long as to be felt. */
const longestDelayMs = 5_000;

/** Told of every change of the cache after it has happened, with `namespace/name`. What they throw ends `run`. */
interface ReflectorHandlers<S> {
  /**
   * A new or changed object; `old` is what was known before of the same object. One that was deleted and made again under its
   * name is another: the old one's deletion is told first, even where nobody saw it happen.
   */
  set(object: S, old: S | undefined, key: string): void;
  delete(old: S, key: string): void;
}

export interface ReflectorOptions<T extends KubeObject, S> {
  readonly client: ApiClient;
  readonly kind: KindDefinition<T>;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What to keep of an object: little, as there may be many. It must not hold on to the rest. */
  readonly strip: (object: T) => S;
  readonly handlers: ReflectorHandlers<S>;
  /** Told of what goes wrong before it is tried again. */
  readonly onRetry?: (error: Error, delayMs: number) => void;
  readonly backoff?: Backoff;
  /** Waits; for tests. */
  readonly sleep?: (delayMs: number, signal: AbortSignal) => Promise<void>;
  /** The server may not have the kind: then there are no objects of it. */
  readonly optional?: boolean;
  readonly watchTimeoutSeconds?: number;
  readonly silenceMs?: number;
}

interface Cached<S> {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly value: S;
}

/**
 * A copy of a kind's objects that follows the server's: listed in pages, then watched, listed again when the server has
 * forgotten where the copy stood. Connections may break at any byte; the copy ends up equal.
 */
export class Reflector<T extends KubeObject, S> {
  readonly #options: ReflectorOptions<T, S>;
  readonly #backoff: Backoff;
  readonly #sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly #cache = new Map<string, Cached<S>>();
  readonly #synced = Promise.withResolvers<void>();
  /** Undefined when the next thing is to list. */
  #resourceVersion: string | undefined;
  #paged = true;
  #heardMs: number | undefined;

  constructor(options: ReflectorOptions<T, S>) {
    this.#options = options;
    this.#backoff = options.backoff ?? new Backoff({ minMs: 100, maxMs: longestDelayMs });
    this.#sleep = options.sleep ?? pause;
  }

  /** Resolves after the first complete list, or for an optional kind that is not served; never, when `run` ends before. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** The server's revision that the copy shows. Undefined before the first list and while it must be repeated. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  /**
   * How long ago the server last told how things are, be it that nothing has changed, which it does each minute: what the
   * copy shows is at most so old. Undefined before the first list.
   */
  get silentMs(): number | undefined {
    return this.#heardMs === undefined ? undefined : performance.now() - this.#heardMs;
  }

  get size(): number {
    return this.#cache.size;
  }

  get(namespace: string | undefined, name: string): S | undefined {
    return this.#cache.get(keyOf(namespace, name))?.value;
  }

  *values(): Generator<S, void> {
    for (const { value } of this.#cache.values()) yield value;
  }

  /** Follows the server until the signal is aborted. Rejects only with what a handler or `strip` throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        else await this.#watch(this.#resourceVersion, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof StatusError || error instanceof UnavailableError)) throw error;
        if (isGone(error)) {
          // When the server forgets the revision between two pages, the next list comes in one piece.
          this.#paged = this.#resourceVersion !== undefined;
          this.#resourceVersion = undefined;
        }
        // What was there before stays: objects of a kind that is taken away are deleted one by one before it goes.
        if (this.#options.optional === true && isNotServed(error)) this.#synced.resolve();
        const delayMs = Math.max(this.#backoff.next(), retryAfterMs(error));
        this.#options.onRetry?.(error, delayMs);
        await this.#sleep(delayMs, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, kind, namespace, labelSelector, fieldSelector } = this.#options;
    const missing = new Set(this.#cache.keys());
    let token: string | undefined;
    let resourceVersion: string;
    do {
      const page = await client.list(kind, {
        ...(this.#paged && { limit: pageLength }),
        signal,
        ...(namespace !== undefined && { namespace }),
        ...(labelSelector !== undefined && { labelSelector }),
        ...(fieldSelector !== undefined && { fieldSelector }),
        ...(token !== undefined && { continue: token }),
      });
      for (const object of page.items) missing.delete(this.#set(object));
      ({ resourceVersion } = page.metadata);
      token = page.metadata.continue;
    } while (token !== undefined && token !== "");
    for (const key of missing) this.#delete(key);
    this.#resourceVersion = resourceVersion;
    this.#heardMs = performance.now();
    this.#paged = true;
    this.#backoff.reset();
    this.#synced.resolve();
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { client, kind, namespace, labelSelector, fieldSelector } = this.#options;
    const { watchTimeoutSeconds = 300 + Math.floor(Math.random() * 300) } = this.#options;
    const events = watchKind(client, kind, {
      resourceVersion,
      timeoutSeconds: watchTimeoutSeconds,
      silenceMs: this.#options.silenceMs ?? 100_000,
      signal,
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    });
    let delivered = false;
    for await (const event of events) {
      this.#apply(event);
      delivered = true;
      this.#backoff.reset();
    }
    // A server that ends watches at once must not be asked in a tight loop.
    if (!delivered) await this.#sleep(this.#backoff.next(), signal);
  }

  #apply(event: WatchEvent<T>): void {
    switch (event.type) {
      case "ERROR":
        throw new StatusError(event.object);
      case "ADDED":
      case "MODIFIED":
        this.#set(event.object);
        break;
      case "DELETED":
        this.#delete(keyOf(event.object.metadata.namespace, event.object.metadata.name));
        break;
      case "BOOKMARK":
        break;
    }
    this.#resourceVersion = event.object.metadata.resourceVersion;
    this.#heardMs = performance.now();
  }

  #set(object: T): string {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const key = keyOf(namespace, name);
    let old = this.#cache.get(key);
    if (old?.resourceVersion === resourceVersion) return key;
    if (old !== undefined && old.uid !== uid) {
      this.#delete(key);
      old = undefined;
    }
    const value = this.#options.strip(object);
    this.#cache.set(key, { uid, resourceVersion, value });
    this.#options.handlers.set(value, old?.value, key);
    return key;
  }

  #delete(key: string): void {
    const old = this.#cache.get(key);
    if (old === undefined) return;
    this.#cache.delete(key);
    this.#options.handlers.delete(old.value, key);
  }
}

function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Whether the server has no such kind. */
function isNotServed(error: Error): boolean {
  return error instanceof StatusError && error.status.code === 404;
}

/**
 * Whether the server has forgotten the revision that the copy shows, or has not come to it yet: one that was set back to an
 * older state never will.
 */
function isGone(error: Error): boolean {
  if (!(error instanceof StatusError)) return false;
  const { code, reason, details } = error.status;
  if (code === 410 || reason === "Expired" || reason === "Gone") return true;
  return details?.causes?.some((cause) => cause.reason === "ResourceVersionTooLarge") === true;
}

function retryAfterMs(error: Error): number {
  const seconds = error instanceof StatusError ? error.status.details?.retryAfterSeconds : 0;
  return Math.min(seconds ?? 0, 60) * 1_000;
}
