import { isObject } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import type { Status } from "../apimachinery/status.ts";
import type { ApiClient, ListOptions } from "./api-client.ts";
import { UnavailableError } from "./errors.ts";
import { pathOf } from "./object-path.ts";

export type WatchEvent<T> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; readonly object: T }
  | { readonly type: "ERROR"; readonly object: Status };

export interface WatchOptions extends Omit<ListOptions, "limit" | "continue"> {
  readonly resourceVersion: string;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
  /** Longest silence. With bookmarks something comes about every minute, so that a longer one is a dead connection. */
  readonly silenceMs: number;
}

/**
 * The events of a watch, until it ends. A last line that was cut off is dropped: its event comes again when the watch is
 * resumed. @throws {StatusError | UnavailableError}
 */
export async function* watchKind<T extends KubeObject>(
  client: ApiClient,
  kind: KindDefinition<T>,
  { namespace, signal, silenceMs, ...query }: WatchOptions,
): AsyncGenerator<WatchEvent<T>, void> {
  const path = pathOf(kind, namespace === undefined ? {} : { namespace });
  const { body } = await client.open("GET", path, {
    query: { ...query, watch: true, allowWatchBookmarks: true },
    silenceMs,
    ...(signal && { signal }),
  });
  try {
    for await (const line of linesOf(body)) yield parseEvent<T>(line);
  } finally {
    body.destroy();
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of chunks) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnavailableError(`the watch was cut off: ${why}`, { cause });
  }
}

function isEvent<T>(value: unknown): value is WatchEvent<T> {
  return isObject(value) && typeof value["type"] === "string" && isObject(value["object"]);
}

function parseEvent<T>(line: string): WatchEvent<T> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new UnavailableError("the watch sent a line that is not JSON", { cause });
  }
  if (isEvent<T>(value)) return value;
  throw new UnavailableError("the watch sent a line that is no event");
}
