// What the node knows, and the flows that follow from it. Everything is stored before the switch hears of it.
import type { LocalDelta } from "../pipeline/fact.ts";
import type { Problem } from "../pipeline/feature.ts";
import type { FlowChanges } from "../pipeline/flow-store.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { digestOf } from "../southbound/digest.ts";
import { keyText } from "../southbound/encoded.ts";
import type { Delta, Resource, ResourceKind } from "../southbound/resources.ts";
import { RecordedNumbers } from "./recorded-numbers.ts";
import type { StateChange, StateFile } from "./state-file.ts";

type ResourceOf<Kind extends ResourceKind> = Extract<Resource, { kind: Kind }>;

interface Held {
  readonly resource: Resource;
  readonly digest: string;
}

export class NodeState {
  readonly numbers: RecordedNumbers;
  readonly #file: StateFile;
  readonly #pipeline: Pipeline;
  readonly #held = new Map<string, Held>();
  readonly #onUnsaved: (error: unknown) => void;
  #complete: boolean;
  /** The file lacks changes, and is to be written anew as a whole. */
  #unsaved = false;

  /**
   * `onUnsaved` is told when the file cannot be written. The node goes on with what it knows: after a restart an older
   * state is mended by the next controller, while policies that are not enforced are mended by nobody.
   */
  constructor(node: string, file: StateFile, onUnsaved: (error: unknown) => void) {
    this.#file = file;
    this.#onUnsaved = onUnsaved;
    this.#complete = file.complete;
    this.numbers = new RecordedNumbers(file.numbers());
    this.#pipeline = new Pipeline({ node, numbers: this.numbers });
  }

  /** Whether a controller has ever told everything there is. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Takes in what the file holds; the flows for it are the first that are wanted. */
  load(): FlowChanges {
    const rows = this.#file.resources();
    for (const row of rows) this.#held.set(keyText(row.resource), row);
    const changes = this.#pipeline.apply({
      upserts: rows.map(({ resource }) => resource),
      deletes: [],
    });
    this.#save({});
    return changes;
  }

  /** `completes`: with this delta the state is all there is. Resources that are held already change nothing. */
  applyResources(delta: Delta, completes: boolean): FlowChanges {
    const deletes = delta.deletes.filter((key) => this.#held.delete(keyText(key)));
    const upserts = delta.upserts.filter((resource) => this.#hold(resource));
    const changes = this.#pipeline.apply({ upserts, deletes });
    this.#complete ||= completes;
    this.#save({ delta: { upserts, deletes } });
    return changes;
  }

  applyLocal(delta: LocalDelta): FlowChanges {
    const changes = this.#pipeline.applyLocal(delta);
    this.#save({});
    return changes;
  }

  /** Resources that cannot be put into flows as they are. */
  problems(): readonly Problem[] {
    return [...this.#pipeline.problems()];
  }

  /** For the hello of a stream. */
  digests(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#held].map(([key, { digest }]) => [key, digest]));
  }

  get<Kind extends ResourceKind>(kind: Kind, id: string): ResourceOf<Kind> | undefined {
    const resource = this.#held.get(keyText({ kind, id }))?.resource;
    return resource !== undefined && isOfKind(resource, kind) ? resource : undefined;
  }

  all<Kind extends ResourceKind>(kind: Kind): readonly ResourceOf<Kind>[] {
    const resources = [...this.#held.values()].map(({ resource }) => resource);
    return resources.filter((resource) => isOfKind(resource, kind));
  }

  /** How many resources of each kind there are. */
  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { resource } of this.#held.values()) {
      counts[resource.kind] = (counts[resource.kind] ?? 0) + 1;
    }
    return counts;
  }

  #save({ delta = { upserts: [], deletes: [] } }: { delta?: Delta }): void {
    const numbers = this.numbers.takeChanges();
    try {
      if (this.#unsaved) this.#file.replace(this.#snapshot());
      else this.#file.write({ delta, numbers, complete: this.#complete });
      this.#unsaved = false;
    } catch (error) {
      this.#unsaved = true;
      this.#onUnsaved(error);
    }
  }

  #snapshot(): StateChange {
    const upserts = [...this.#held.values()].map(({ resource }) => resource);
    const numbers = this.numbers.entries();
    return { delta: { upserts, deletes: [] }, numbers, complete: this.#complete };
  }

  /** Whether the resource is news. */
  #hold(resource: Resource): boolean {
    const key = keyText(resource);
    const digest = digestOf(resource);
    if (this.#held.get(key)?.digest === digest) return false;
    this.#held.set(key, { resource, digest });
    return true;
  }
}

function isOfKind<Kind extends ResourceKind>(
  resource: Resource,
  kind: Kind,
): resource is ResourceOf<Kind> {
  return resource.kind === kind;
}
