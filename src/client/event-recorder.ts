// Kubernetes Events: tells people, on the object itself, what went wrong with it. core/v1, for `kubectl describe` reads these.
import { createHash, randomUUID } from "node:crypto";
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition, ObjectMeta } from "../apimachinery/kind.ts";
import { apiVersionOf } from "../apimachinery/object.ts";
import { type Event, eventKind } from "../kinds/event.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { ApiClient, NewObject } from "./api-client.ts";

/** The object that an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent for kinds without namespaces. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
}

export interface EventReport {
  readonly regarding: EventSubject;
  readonly type: "Normal" | "Warning";
  /** What happened, in one word: `AddressesExhausted`. */
  readonly reason: string;
  /** What happened, for people: what was expected, what came, where. Cut at 1,024 signs, as the API demands. */
  readonly message: string;
}

/** Where reports go. A recorder is one; tests have their own. */
export interface EventSink {
  /** Never throws and never waits; what cannot be written in time is lost. */
  record(report: EventReport): void;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  /** The program that reports: `isobar-controller`. */
  readonly component: string;
  /** Told of what is lost. */
  readonly onLost?: (error: Error, reports: number) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Waits; for tests. */
  readonly sleep?: (delayMs: number, signal: AbortSignal) => Promise<void>;
}

/** What is known of one event object: all reports of one reason about one object. */
interface Series {
  report: EventReport;
  /** Reports so far. */
  count: number;
  firstMs: number;
  lastMs: number;
  writtenMs: number;
  /** Reports that the object does not show yet. */
  unwritten: number;
  /** Whether this program has written the object before. */
  known: boolean;
}

/** Repetitions are written at most this often. */
const repeatMs = 60_000;
/** An object of the API lasts an hour; a series that was quiet for so long begins anew. */
const forgetMs = 3_600_000;
/** How long a wait may overlook what has come meanwhile. */
const lookMs = 1_000;
const mostSeries = 2_048;
const mostMessageLength = 1_024;
/** The least time between two writes. */
const paceMs = 50;
const attempts = 4;

export function subjectOf(
  kind: Pick<KindDefinition, "group" | "version" | "kind">,
  { name, namespace, uid }: Pick<ObjectMeta, "name" | "namespace" | "uid">,
): EventSubject {
  const place = namespace === undefined ? {} : { namespace };
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, name, uid, ...place };
}

/**
 * Writes reports as events. Reports of one reason about one object are one event object with a count and the latest message,
 * written at once and then at most once a minute, 20 writes a second in all. Its name is a hash of all this, so that a
 * program that starts again goes on with the same object.
 */
export class EventRecorder implements EventSink, AsyncDisposable {
  readonly #options: EventRecorderOptions;
  readonly #now: () => number;
  readonly #sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly #series = new Map<string, Series>();
  readonly #closing = new AbortController();
  readonly #instance = randomUUID().slice(0, 8);
  #writing: Promise<void> | undefined;
  #refused = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#sleep = options.sleep ?? pause;
  }

  record(report: EventReport): void {
    if (this.#closing.signal.aborted) return;
    const now = this.#now();
    const key = keyOf(report);
    let series = this.#series.get(key);
    if (series === undefined) {
      if (this.#series.size >= mostSeries && !this.#forget(now)) {
        this.#refused += 1;
        return;
      }
      series = {
        report,
        count: 0,
        firstMs: now,
        lastMs: now,
        writtenMs: 0,
        unwritten: 0,
        known: false,
      };
      this.#series.set(key, series);
    }
    Object.assign(series, { report, lastMs: now });
    series.count += 1;
    series.unwritten += 1;
    this.#writing ??= this.#write();
  }

  /** Ends after the write that is under way; what waits is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  /** Makes room; false when all series have something to say. */
  #forget(now: number): boolean {
    for (const [key, { lastMs, unwritten }] of this.#series) {
      if (unwritten === 0 && now - lastMs >= repeatMs) this.#series.delete(key);
    }
    return this.#series.size < mostSeries;
  }

  /** Runs while something waits. */
  async #write(): Promise<void> {
    // The reports of one turn of the event loop come together.
    await Promise.resolve();
    while (!this.#closing.signal.aborted) {
      const next = this.#next();
      if (next === undefined) break;
      const [key, series, dueMs] = next;
      const waitMs = dueMs - this.#now();
      if (waitMs <= 0) await this.#writeSeries(key, series);
      // What comes meanwhile may be due at once.
      await this.#sleep(waitMs <= 0 ? paceMs : Math.min(waitMs, lookMs), this.#closing.signal);
    }
    this.#writing = undefined;
    if (this.#refused > 0) {
      this.#options.onLost?.(new Error(`more than ${mostSeries} events at a time`), this.#refused);
      this.#refused = 0;
    }
  }

  /** The series whose turn comes first, and when. */
  #next(): readonly [string, Series, number] | undefined {
    let first: readonly [string, Series, number] | undefined;
    for (const [key, series] of this.#series) {
      if (series.unwritten === 0) continue;
      const dueMs = series.writtenMs + repeatMs;
      if (first === undefined || dueMs < first[2]) first = [key, series, dueMs];
    }
    return first;
  }

  async #writeSeries(key: string, series: Series): Promise<void> {
    const now = this.#now();
    if (now - series.writtenMs > forgetMs) {
      Object.assign(series, { count: series.unwritten, firstMs: series.lastMs });
    }
    const { unwritten } = series;
    series.writtenMs = now;
    series.unwritten = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#put(key, series);
        return;
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error));
        // The namespace is gone or going, or events are not ours to write: nobody would see them.
        const isFinal = error instanceof StatusError && [403, 404].includes(error.status.code);
        if (isFinal || attempt === attempts || this.#closing.signal.aborted) {
          this.#options.onLost?.(failure, unwritten);
          return;
        }
        await this.#sleep(250 * 2 ** attempt, this.#closing.signal);
      }
    }
  }

  async #put(key: string, series: Series): Promise<void> {
    const { client } = this.#options;
    const event = this.#render(key, series);
    const { name, namespace } = event.metadata;
    try {
      await client.create(eventKind, event);
    } catch (error) {
      if (!(error instanceof StatusError && error.status.code === 409)) throw error;
      const place = { name, namespace };
      if (!series.known) {
        // It is from before this program started.
        series.count += (await client.find(eventKind, place))?.count ?? 0;
      }
      const { lastTimestamp, message } = event;
      const body = { count: series.count, lastTimestamp, message };
      await client.patch(eventKind, place, { type: "merge-patch+json", body });
    }
    series.known = true;
  }

  #render(key: string, { report, count, firstMs, lastMs }: Series): RenderedEvent {
    const { component } = this.#options;
    const { regarding, type, reason, message } = report;
    const namespace = regarding.namespace ?? "default";
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace, name: `${regarding.name.slice(0, 200)}.${key}` },
      involvedObject: { ...regarding },
      type,
      reason,
      message: cut(message),
      count,
      firstTimestamp: timeText(firstMs),
      lastTimestamp: timeText(lastMs),
      source: { component },
      reportingComponent: component,
      reportingInstance: `${component}-${this.#instance}`,
    };
  }
}

type RenderedEvent = NewObject<Event> & {
  readonly metadata: { readonly namespace: string; readonly name: string };
};

function keyOf({ regarding, reason, type }: EventReport): string {
  const { apiVersion, kind, namespace = "", name, uid } = regarding;
  const identity = JSON.stringify([apiVersion, kind, namespace, name, uid, reason, type]);
  return createHash("sha256").update(identity).digest("hex").slice(0, 16);
}

function cut(message: string): string {
  return message.length <= mostMessageLength
    ? message
    : `${message.slice(0, mostMessageLength - 3)}...`;
}

/** Event times have no fractions of seconds. */
function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
