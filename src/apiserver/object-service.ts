import { recordUpdate } from "../apimachinery/apply.ts";
import { StatusError } from "../apimachinery/errors.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { alreadyExists, conflict, notFound } from "../apimachinery/status.ts";
import type { Compare, KeyValue, Operation, Store } from "../store/store.ts";
import { type Allocator, type Reservation, noReservation } from "./allocator.ts";
import type { Catalog } from "./catalog.ts";
import { checkPreconditions, type DeleteOptions, isHeld, markDeleted } from "./deletion.ts";
import type { ExpiryLeases } from "./expiry-leases.ts";
import { assertNamespaceDeletable, namespaceCondition } from "./namespace-rules.ts";
import { decodeObject, encodeObject, keyOf } from "./object-codec.ts";
import {
  assertValid,
  countGeneration,
  formatTime,
  prepareCreate,
  prepareUpdate,
} from "./prepare.ts";

/** Every failed attempt means that another write succeeded; this many in a row only happen under abuse. */
const attemptLimit = 100;
/** Attempts to find a free name for generateName. */
const nameAttempts = 8;

export interface Target {
  readonly kind: KindDefinition;
  /** Undefined for kinds without namespaces. */
  readonly namespace: string | undefined;
  readonly name: string;
}

export interface WriteOptions {
  /** Everything is checked and nothing is stored. */
  readonly dryRun?: boolean;
  /** Who is noted as the owner of the fields that change; nobody when absent. */
  readonly manager?: string;
  readonly subresource?: string;
}

/** `entry` is what is stored now, or what was deleted last; after a dry run, what would be. */
export interface Written {
  readonly outcome: "created" | "updated" | "unchanged" | "deleted";
  readonly entry: KeyValue;
}

/** Makes the next state from the present one, which it may change. Called again when somebody else was faster. */
export type Change = (current: KubeObject) => KubeObject;

export interface ObjectServiceOptions {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly leases: ExpiryLeases;
  /** What gives objects something out of the server's pools; none when absent. */
  readonly allocators?: readonly Allocator[];
  readonly now: () => Date;
}

/** What is about to be stored. */
interface Draft {
  readonly object: KubeObject;
  readonly reservation: Reservation;
}

/** Objects over the store, with the rules that hold whoever writes. Every method throws {StatusError} and store errors. */
export class ObjectService {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly #leases: ExpiryLeases;
  readonly #allocators: readonly Allocator[];
  readonly now: () => Date;

  constructor(options: ObjectServiceOptions) {
    this.#allocators = options.allocators ?? [];
    this.store = options.store;
    this.catalog = options.catalog;
    this.#leases = options.leases;
    this.now = options.now;
  }

  async read({ kind, namespace, name }: Target): Promise<KeyValue> {
    const entry = await this.store.get(keyOf(kind, namespace, name));
    if (entry === undefined) throw new StatusError(notFound(kind, name));
    return entry;
  }

  /** `sent` is a decoded object without defaults; it may have generateName instead of a name. */
  async create(
    kind: KindDefinition,
    namespace: string | undefined,
    sent: KubeObject,
    options: WriteOptions = {},
  ): Promise<Written> {
    const prefix = sent.metadata.name ? undefined : sent.metadata.generateName;
    for (let attempt = 1; ; attempt++) {
      const object = prepareCreate(kind, sent, namespace, this.now());
      this.#record(kind, undefined, object, options);
      this.#allocatorOf(kind)?.settle(object, undefined);
      assertValid(kind, object);
      const { name } = object.metadata;
      const written = await this.#insert({ kind, namespace, name }, object, options);
      if (written !== undefined) return written;
      if (prefix === undefined || attempt === nameAttempts) {
        throw new StatusError(alreadyExists(kind, name));
      }
    }
  }

  async update(target: Target, change: Change, options: WriteOptions = {}): Promise<Written> {
    const { kind } = target;
    for (let attempt = 0; attempt < attemptLimit; attempt++) {
      const entry = await this.read(target);
      const current = decodeObject(entry);
      const sent = change(decodeObject(entry));
      const next = prepareUpdate(kind, current, sent, options.subresource);
      const isWhole = options.subresource === undefined;
      if (isWhole) this.#allocatorOf(kind)?.settle(next, current);
      assertValid(kind, next, current);
      this.#record(kind, current, next, options);
      const draft = isWhole ? await this.#allocate(kind, next, current) : unreserved(next);
      countGeneration(kind, draft.object, current);
      if (equalJson(draft.object, current)) return { outcome: "unchanged", entry };
      const released = next.metadata.deletionTimestamp !== undefined && !isHeld(kind, next);
      const written = released
        ? await this.#remove(kind, entry, options)
        : await this.#replace(kind, entry, draft, options);
      if (written !== undefined) return written;
    }
    throw new StatusError(conflict(kind, target.name));
  }

  /** Deletes the object, or marks it deleted when something still holds it. */
  async delete(target: Target, options: DeleteOptions = {}): Promise<Written> {
    const { kind, name } = target;
    assertNamespaceDeletable(kind, name);
    for (let attempt = 0; attempt < attemptLimit; attempt++) {
      const entry = await this.read(target);
      const current = decodeObject(entry);
      checkPreconditions(kind, current, options.preconditions ?? {});
      const next = decodeObject(entry);
      markDeleted(kind, next, options, this.now());
      if (equalJson(next, current)) return { outcome: "unchanged", entry };
      const written = isHeld(kind, next)
        ? await this.#replace(kind, entry, unreserved(next), options)
        : await this.#remove(kind, entry, options);
      if (written !== undefined) return written;
    }
    throw new StatusError(conflict(kind, name));
  }

  /**
   * Stores a state that the server itself made of `entry`, without the checks for clients. Returns undefined when the object
   * has changed meanwhile. An object being deleted that nothing holds any more is deleted.
   */
  async settle(
    kind: KindDefinition,
    entry: KeyValue,
    next: KubeObject,
  ): Promise<Written | undefined> {
    const released = next.metadata.deletionTimestamp !== undefined && !isHeld(kind, next);
    return released
      ? await this.#remove(kind, entry, {})
      : await this.#replace(kind, entry, unreserved(next), {});
  }

  #allocatorOf(kind: KindDefinition): Allocator | undefined {
    return this.#allocators.find((allocator) => allocator.concerns(kind));
  }

  /** A copy of the object, with what it is given out of the server's pools. */
  async #allocate(kind: KindDefinition, object: KubeObject, old?: KubeObject): Promise<Draft> {
    const allocator = this.#allocatorOf(kind);
    if (allocator === undefined) return unreserved(object);
    const given = structuredClone(object);
    return { object: given, reservation: await allocator.allocate(given, old) };
  }

  #record(
    kind: KindDefinition,
    old: KubeObject | undefined,
    next: KubeObject,
    { manager, subresource }: WriteOptions,
  ): void {
    if (manager === undefined) return;
    const time = formatTime(this.now());
    recordUpdate(kind, old, next, { manager, time, ...(subresource && { subresource }) });
  }

  async #insert(
    target: Target,
    object: KubeObject,
    { dryRun = false }: WriteOptions,
  ): Promise<Written | undefined> {
    const { kind, namespace, name } = target;
    const key = keyOf(kind, namespace, name);
    for (let attempt = 0; attempt < attemptLimit; attempt++) {
      const draft = await this.#allocate(kind, object);
      const value = encodeObject(kind, draft.object);
      const inNamespace =
        namespace === undefined ? [] : await this.#namespaceTakes(kind, namespace, name);
      const compare = [
        ...inNamespace,
        { key, target: "createRevision", operator: "=", value: 0 } as const,
        ...draft.reservation.compare,
      ];
      const put = { kind: "put", key, value, ...(await this.#leaseFor(kind, dryRun)) } as const;
      const success: Operation[] = dryRun ? [] : [put, ...draft.reservation.operations];
      const failure: Operation[] = [{ kind: "get", key }];
      const result = await this.store.transact({ compare, success, failure });
      if (result.succeeded) {
        return { outcome: "created", entry: result.entries[0] ?? imagined(key, value, undefined) };
      }
      if (result.entries[0] !== undefined) return undefined;
      // The namespace has changed: look whether it still takes new objects. Or somebody was faster to take what was given.
    }
    throw new StatusError(conflict(kind, name));
  }

  async #replace(
    kind: KindDefinition,
    entry: KeyValue,
    { object, reservation }: Draft,
    { dryRun = false }: WriteOptions,
  ): Promise<Written | undefined> {
    const { key } = entry;
    const value = encodeObject(kind, object);
    if (dryRun) return { outcome: "updated", entry: imagined(key, value, entry) };
    const put = { kind: "put", key, value, ...(await this.#leaseFor(kind, dryRun)) } as const;
    const result = await this.store.transact({
      compare: [isStill(entry), ...reservation.compare],
      success: [put, ...reservation.operations],
    });
    const written = result.succeeded ? result.entries[0] : undefined;
    return written && { outcome: "updated", entry: written };
  }

  async #remove(
    kind: KindDefinition,
    entry: KeyValue,
    { dryRun = false }: WriteOptions,
  ): Promise<Written | undefined> {
    if (dryRun) return { outcome: "deleted", entry };
    const allocator = this.#allocatorOf(kind);
    const { operations } = (await allocator?.release(decodeObject(entry))) ?? noReservation;
    const { succeeded } = await this.store.transact({
      compare: [isStill(entry)],
      success: [{ kind: "delete", key: entry.key }, ...operations],
    });
    return succeeded ? { outcome: "deleted", entry } : undefined;
  }

  async #namespaceTakes(kind: KindDefinition, namespace: string, name: string): Promise<Compare[]> {
    const { store, catalog } = this;
    return await namespaceCondition({ store, catalog, kind }, namespace, name);
  }

  async #leaseFor(kind: KindDefinition, dryRun: boolean): Promise<{ lease?: number }> {
    const lease = dryRun ? undefined : await this.#leases.leaseFor(kind);
    return lease === undefined ? {} : { lease };
  }
}

function unreserved(object: KubeObject): Draft {
  return { object, reservation: noReservation };
}

function isStill({ key, modRevision }: KeyValue): Compare {
  return { key, target: "modRevision", operator: "=", value: modRevision };
}

/** What a dry run would have stored. A new object would not have a revision yet. */
function imagined(key: string, value: string, previous: KeyValue | undefined): KeyValue {
  const { createRevision = 0, modRevision = 0, version = 0 } = previous ?? {};
  return { key, value, createRevision, modRevision, version };
}
