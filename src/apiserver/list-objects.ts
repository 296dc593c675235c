import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { badRequest, expired, type Status, timeout } from "../apimachinery/status.ts";
import { CompactedError } from "../store/errors.ts";
import type { KeyValue, RangeResult, Store } from "../store/store.ts";
import { numberOf } from "./api-request.ts";
import { prefixOf } from "./object-codec.ts";
import type { ListMetadata } from "./render-objects.ts";
import { type Selection, selectionOf } from "./selection.ts";

/** Keys read at a time while a selection looks for enough matches. */
const scanLength = 500;

export interface ObjectList {
  readonly entries: readonly KeyValue[];
  readonly metadata: ListMetadata;
}

/** Where the next page begins, and the revision that all pages show; -1 for the present. */
interface Continuation {
  readonly revision: number;
  readonly from: string;
}

/**
 * One page of a kind's objects, as limit, continue, resourceVersion and the selectors ask.
 * @throws {StatusError} 400, 410 when the page's revision is gone, 504 when it has not come
 */
export async function listObjects(
  store: Store,
  kind: KindDefinition,
  namespace: string | undefined,
  query: URLSearchParams,
): Promise<ObjectList> {
  const prefix = prefixOf(kind, namespace);
  const selection = selectionOf(kind, query, undefined);
  const limit = numberOf(query, "limit") || Infinity;
  const start = startOf(query, prefix);
  await assertReached(store, numberOf(query, "resourceVersion") ?? 0);
  try {
    return await readPage(store, prefix, { selection, limit, start });
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error;
    const from = query.has("continue") ? start.from.slice(prefix.length) : undefined;
    throw new StatusError(goneStatus(start.revision, error.compactRevision, from));
  }
}

/** @throws {StatusError} 504 for a revision that has not come */
export async function assertReached(store: Store, revision: number): Promise<void> {
  const current = await store.currentRevision();
  if (revision <= current) return;
  const status = timeout(`Too large resource version: ${revision}, current: ${current}`, 1);
  const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
  throw new StatusError({ ...status, details: { ...status.details, causes } });
}

async function readPage(
  store: Store,
  prefix: string,
  options: { selection: Selection | undefined; limit: number; start: Continuation },
): Promise<ObjectList> {
  const { selection, limit, start } = options;
  let at = start.revision === -1 ? undefined : start.revision;
  let { from } = start;
  const entries: KeyValue[] = [];
  for (;;) {
    const wanted = selection === undefined ? limit - entries.length : scanLength;
    const result: RangeResult = await store.range({
      prefix,
      from,
      ...(Number.isFinite(wanted) && { limit: wanted }),
      ...(at !== undefined && { revision: at }),
    });
    at ??= result.revision;
    for (const entry of result.entries) {
      from = `${entry.key}\0`;
      if (selection !== undefined && !selection(entry)) continue;
      entries.push(entry);
      if (entries.length >= limit) break;
    }
    const more = result.more || from <= (result.entries.at(-1)?.key ?? "");
    if (!more || entries.length >= limit) {
      const resourceVersion = String(at);
      const next = { revision: at, from: from.slice(prefix.length) };
      return {
        entries,
        metadata: { resourceVersion, ...(more && { continue: encodeContinuation(next) }) },
      };
    }
  }
}

function startOf(query: URLSearchParams, prefix: string): Continuation {
  const token = query.get("continue") ?? "";
  const revision = numberOf(query, "resourceVersion");
  const match = query.get("resourceVersionMatch") ?? "";
  if (token !== "") {
    if (revision !== undefined && revision !== 0) {
      const message = "specifying resource version is not allowed when using continue";
      throw new StatusError(badRequest(message));
    }
    const { from, ...rest } = decodeContinuation(token);
    return { ...rest, from: prefix + from };
  }
  if (match !== "" && match !== "Exact" && match !== "NotOlderThan") {
    throw new StatusError(
      badRequest(
        `resourceVersionMatch: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan"`,
      ),
    );
  }
  if (match !== "" && revision === undefined) {
    throw new StatusError(
      badRequest("resourceVersionMatch is forbidden unless resourceVersion is provided"),
    );
  }
  // A limit with a revision and no match means exactly that revision, by old custom.
  const exact = match === "Exact" || (match === "" && numberOf(query, "limit") !== undefined);
  if (revision === undefined || revision === 0) return { revision: -1, from: prefix };
  return { revision: exact ? revision : -1, from: prefix };
}

function encodeContinuation({ revision, from }: Continuation): string {
  const token = { v: "meta.k8s.io/v1", rv: revision, start: from };
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function decodeContinuation(token: string): Continuation {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (isObject(value) && value["v"] === "meta.k8s.io/v1") {
      const { rv: revision, start: from } = value;
      if (Number.isSafeInteger(revision) && typeof from === "string") {
        return { revision: Number(revision), from };
      }
    }
  } catch {
    // Answered below, like every token that was not made here.
  }
  throw new StatusError(badRequest("continue key is not valid"));
}

/** For a page that goes on `from` a key there is another token, to read the rest as it is at present. */
function goneStatus(revision: number, oldest: number, from: string | undefined): Status {
  if (from === undefined) return expired(`too old resource version: ${revision} (${oldest})`);
  const status = expired(
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
      "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
      "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
      "deleted between the time the first chunk was returned and now may show up in the list.",
  );
  const metadata = { continue: encodeContinuation({ revision: -1, from }) };
  return { ...status, metadata };
}
