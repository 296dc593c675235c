// Resources and deltas as the stream carries them: turned into text once, however many agents get them.
import { digestOf } from "./digest.ts";
import type { DeltaMessage } from "./messages.ts";
import type { Delta, Resource, ResourceKey, ResourceKind } from "./resources.ts";

/**
 * A resource as text; its digest is found when it is first asked for. The text is all that is kept: a controller holds
 * hundreds of thousands of resources, sends most of them once and looks into none.
 */
export class EncodedResource implements ResourceKey {
  readonly kind: ResourceKind;
  readonly id: string;
  /** JSON. */
  readonly text: string;
  #digest: string | undefined;

  constructor(resource: Resource) {
    this.kind = resource.kind;
    this.id = resource.id;
    this.text = JSON.stringify(resource);
  }

  /** The resource itself, read from the text at each call. */
  get resource(): Resource {
    const resource: Resource = JSON.parse(this.text);
    return resource;
  }

  get digest(): string {
    this.#digest ??= digestOf(this.resource);
    return this.#digest;
  }
}

/** `kind/id`, as `Hello.have` names a resource. */
export function keyText(key: ResourceKey): string {
  return `${key.kind}/${key.id}`;
}

const noUpserts: readonly EncodedResource[] = [];
const noDeletes: readonly ResourceKey[] = [];
const noParts: readonly EncodedDelta[] = [];

/**
 * An immutable delta that may be put together from others. Parts are shared, not copied: what a thousand nodes have in
 * common is held, and made into text, once.
 */
export class EncodedDelta {
  static readonly empty = new EncodedDelta(noUpserts, noDeletes, noParts);

  readonly #upserts: readonly EncodedResource[];
  readonly #deletes: readonly ResourceKey[];
  readonly #parts: readonly EncodedDelta[];
  #upsertText: string | undefined;
  #deleteText: string | undefined;

  private constructor(
    upserts: readonly EncodedResource[],
    deletes: readonly ResourceKey[],
    parts: readonly EncodedDelta[],
  ) {
    this.#upserts = upserts;
    this.#deletes = deletes;
    this.#parts = parts;
  }

  /** Both lists are in the order in which they are to be applied, and are the delta's from now on. */
  static of(upserts: readonly EncodedResource[], deletes: readonly ResourceKey[]): EncodedDelta {
    return upserts.length + deletes.length === 0
      ? EncodedDelta.empty
      : new EncodedDelta(upserts, deletes, noParts);
  }

  /** Parts in the order of their additions; their deletions come in the reverse order. No key may be in two parts. */
  static join(parts: readonly EncodedDelta[]): EncodedDelta {
    const filled = parts.filter((part) => !part.isEmpty);
    const [only] = filled;
    if (only === undefined) return EncodedDelta.empty;
    return filled.length === 1 ? only : new EncodedDelta(noUpserts, noDeletes, filled);
  }

  get isEmpty(): boolean {
    return this.#upserts.length + this.#deletes.length + this.#parts.length === 0;
  }

  *upserts(): Generator<EncodedResource, void, undefined> {
    yield* this.#upserts;
    for (const part of this.#parts) yield* part.upserts();
  }

  *deletes(): Generator<ResourceKey, void, undefined> {
    for (const part of this.#parts.toReversed()) yield* part.deletes();
    yield* this.#deletes;
  }

  toDelta(): Delta {
    return {
      upserts: [...this.upserts()].map((encoded) => encoded.resource),
      deletes: [...this.deletes()],
    };
  }

  /** Adds the text of the upserts to `chunks`, items separated by commas within and between chunks. */
  pushUpsertText(chunks: string[]): void {
    for (const part of this.#parts) part.pushUpsertText(chunks);
    const [first] = this.#upserts;
    if (first === undefined) return;
    this.#upsertText ??=
      this.#upserts.length === 1
        ? first.text
        : this.#upserts.map((encoded) => encoded.text).join(",");
    if (chunks.length > 0) chunks.push(",");
    chunks.push(this.#upsertText);
  }

  /** As `pushUpsertText`, for the deletes. */
  pushDeleteText(chunks: string[]): void {
    for (const part of this.#parts.toReversed()) part.pushDeleteText(chunks);
    if (this.#deletes.length === 0) return;
    this.#deleteText ??= this.#deletes.map((key) => JSON.stringify(key)).join(",");
    if (chunks.length > 0) chunks.push(",");
    chunks.push(this.#deleteText);
  }
}

/**
 * The delta message as the stream carries it, newline included, in pieces to be written one after the other: pieces
 * that several agents get are one string.
 */
export function encodeDeltaMessage(
  { sequence, revision }: Pick<DeltaMessage, "sequence" | "revision">,
  delta: EncodedDelta,
): readonly string[] {
  const upserts: string[] = [];
  const deletes: string[] = [];
  delta.pushUpsertText(upserts);
  delta.pushDeleteText(deletes);
  return [
    `{"type":"delta","sequence":${sequence},"revision":${revision},"upserts":[`,
    ...upserts,
    `],"deletes":[`,
    ...deletes,
    "]}\n",
  ];
}
