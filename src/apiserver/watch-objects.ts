// Watching: the events of a kind after a revision, one JSON document a line, as the client wants objects shown.
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { apiVersionOf } from "../apimachinery/object.ts";
import { badRequest, expired, internalError, type Status } from "../apimachinery/status.ts";
import { CompactedError, FutureRevisionError } from "../store/errors.ts";
import type { KeyValue, Store, StoreEvent, Watcher } from "../store/store.ts";
import { flagOf, numberOf } from "./api-request.ts";
import { prefixOf } from "./object-codec.ts";
import { renderObject, type View } from "./render-objects.ts";
import { type Selection, selectionOf } from "./selection.ts";

/** Takes lines; resolves when it has room for more. */
export type Sink = (lines: string) => Promise<void>;

export interface WatchOptions {
  readonly store: Store;
  readonly kind: KindDefinition;
  readonly namespace: string | undefined;
  /** Only the object of this name. */
  readonly name: string | undefined;
  readonly query: URLSearchParams;
  /** Asked anew for every batch, as ages are counted from its time. */
  readonly view: () => View;
}

type EventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";

const initialEventsEnd = { "k8s.io/initial-events-end": "true" };
/** Objects of the present state that are sent at a time. */
const initialLength = 500;
/** Characters of events after which the client's turn to read has come. */
const sendLength = 256 * 1024;

/** A watch that has been asked for and not yet begun. Holds no events: it reads the store as fast as its sink takes. */
export class ObjectWatch {
  readonly #options: WatchOptions;
  readonly #selection: Selection | undefined;
  /** What the client knows already; nothing when undefined. */
  readonly #knownRevision: number | undefined;
  readonly #sendsInitialEvents: boolean;
  readonly #bookmarks: boolean;
  /** After which the client wants the watch to end. */
  readonly timeoutSeconds: number | undefined;
  #watcher: Watcher | undefined;
  #bookmarkDue = false;
  #closed = false;

  /** @throws {StatusError} 400 */
  constructor(options: WatchOptions) {
    const { kind, query, name } = options;
    this.#options = options;
    this.#selection = selectionOf(kind, query, name);
    this.#bookmarks = flagOf(query, "allowWatchBookmarks");
    this.#knownRevision = numberOf(query, "resourceVersion") || undefined;
    this.timeoutSeconds = numberOf(query, "timeoutSeconds") || undefined;
    this.#sendsInitialEvents = flagOf(query, "sendInitialEvents");
    checkMatch(query, this.#sendsInitialEvents);
  }

  /** Sends a bookmark, if the client wants any, with the next events or when it has everything until now. */
  requestBookmark(): void {
    this.#bookmarkDue = this.#bookmarks;
    if (this.#bookmarks) this.#watcher?.requestProgress();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
  }

  /** Sends events until the watch is closed or cannot go on, which an ERROR event says. */
  async run(sink: Sink): Promise<void> {
    const { store, kind, namespace } = this.#options;
    try {
      const after = await this.#begin(sink);
      if (this.#closed) return;
      const request = { prefix: prefixOf(kind, namespace), startRevision: after + 1 };
      this.#watcher = store.watch(request);
      for await (const { revision, events } of this.#watcher) {
        await this.#sendEvents(events, sink);
        if (!this.#bookmarkDue) continue;
        this.#bookmarkDue = false;
        await sink(bookmark(kind, revision));
      }
    } catch (error) {
      await sink(eventLine("ERROR", JSON.stringify(statusOf(error))));
    }
  }

  /** Sends the present state if that is wanted, and returns the revision that the client then knows. */
  async #begin(sink: Sink): Promise<number> {
    const known = this.#knownRevision ?? 0;
    if (known > 0 && !this.#sendsInitialEvents) return known;
    const revision = await this.#options.store.currentRevision();
    if (known > revision) throw new FutureRevisionError(known, revision);
    await this.#sendState(sink, revision);
    if (this.#sendsInitialEvents && this.#bookmarks) {
      await sink(bookmark(this.#options.kind, revision, initialEventsEnd));
    }
    return revision;
  }

  async #sendState(sink: Sink, revision: number): Promise<void> {
    const { store, kind, namespace } = this.#options;
    const prefix = prefixOf(kind, namespace);
    let from = prefix;
    for (let more = true; more && !this.#closed;) {
      const page = await store.range({ prefix, from, limit: initialLength, revision });
      const view = this.#options.view();
      const chosen = page.entries.filter((entry) => this.#selection?.(entry) ?? true);
      if (chosen.length > 0) {
        await sink(
          chosen.map((entry) => eventLine("ADDED", renderObject(kind, entry, view))).join(""),
        );
      }
      ({ more } = page);
      from = `${page.entries.at(-1)?.key ?? prefix}\0`;
    }
  }

  async #sendEvents(events: readonly StoreEvent[], sink: Sink): Promise<void> {
    const view = this.#options.view();
    let lines = "";
    for (const event of events) {
      lines += this.#lineOf(event, view);
      if (lines.length < sendLength) continue;
      await sink(lines);
      lines = "";
    }
    if (lines !== "") await sink(lines);
  }

  #lineOf(event: StoreEvent, view: View): string {
    const { kind } = this.#options;
    const isPlain = this.#selection === undefined && view.as === "object";
    if (isPlain) return plainLine(kind, event, view);
    const shown = chosenEvent(event, this.#selection);
    if (shown === undefined) return "";
    return eventLine(shown.type, renderObject(kind, shown.entry, view, event.revision));
  }
}

const plainLines = new WeakMap<StoreEvent, string>();

/** The line that all watchers without a selection and a special shape share: made once. */
function plainLine(kind: KindDefinition, event: StoreEvent, view: View): string {
  let line = plainLines.get(event);
  if (line === undefined) {
    const type =
      event.kind === "delete" ? "DELETED" : event.previous === undefined ? "ADDED" : "MODIFIED";
    line = eventLine(type, renderObject(kind, event.entry, view, event.revision));
    plainLines.set(event, line);
  }
  return line;
}

/** What an event is to someone who sees only what the selection chooses; nothing, if neither before nor after is. */
function chosenEvent(
  event: StoreEvent,
  selection: Selection = () => true,
): { type: EventType; entry: KeyValue } | undefined {
  const { entry } = event;
  if (event.kind === "delete") return selection(entry) ? { type: "DELETED", entry } : undefined;
  const { previous } = event;
  const before = previous !== undefined && selection(previous);
  if (selection(entry)) return { type: before ? "MODIFIED" : "ADDED", entry };
  return before ? { type: "DELETED", entry: previous } : undefined;
}

function eventLine(type: EventType, object: string): string {
  return `{"type":"${type}","object":${object}}\n`;
}

function bookmark(
  kind: KindDefinition,
  revision: number,
  annotations?: Record<string, string>,
): string {
  const metadata = {
    resourceVersion: String(revision),
    creationTimestamp: null,
    ...(annotations && { annotations }),
  };
  return eventLine(
    "BOOKMARK",
    JSON.stringify({ kind: kind.kind, apiVersion: apiVersionOf(kind), metadata }),
  );
}

function checkMatch(query: URLSearchParams, sendsInitialEvents: boolean): void {
  const match = query.get("resourceVersionMatch") ?? "";
  if (sendsInitialEvents && match !== "NotOlderThan") {
    const message = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    throw new StatusError(badRequest(message));
  }
  if (!sendsInitialEvents && match !== "") {
    const message =
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
    throw new StatusError(badRequest(message));
  }
}

/** A revision from the future is one of another store: like one from too long ago, it makes the client list again. */
function statusOf(error: unknown): Status {
  if (error instanceof CompactedError) return expired(`too old resource version: ${error.message}`);
  if (error instanceof FutureRevisionError)
    return expired(`unknown resource version: ${error.message}`);
  if (error instanceof StatusError) return error.status;
  return internalError(error instanceof Error ? error.message : String(error));
}
