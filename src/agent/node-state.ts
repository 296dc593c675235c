// What the node knows, and the flows that follow from it. Everything is stored before the switch hears of it.
import type { LocalDelta } from "../pipeline/fact.ts";
import type { Problem } from "../pipeline/feature.ts";
import type { FlowChanges } from "../pipeline/flow-store.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { digestOf } from "../southbound/digest.ts";
import { keyText } from "../southbound/encoded.ts";
import {
  type Delta,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "../southbound/resources.ts";
import { RecordedNumbers } from "./recorded-numbers.ts";
import type { StateChange, StateFile } from "./state-file.ts";

type ResourceOf<Kind extends ResourceKind> = Extract<Resource, { kind: Kind }>;

interface Held<Of extends Resource> {
  readonly resource: Of;
  readonly digest: string;
}

export class NodeState {
  readonly numbers: RecordedNumbers;
  readonly #file: StateFile;
  readonly #pipeline: Pipeline;
  readonly #held: { readonly [Kind in ResourceKind]: Map<string, Held<ResourceOf<Kind>>> } = {
    domain: new Map(),
    node: new Map(),
    group: new Map(),
    rule: new Map(),
    posture: new Map(),
    endpoint: new Map(),
    service: new Map(),
    backend: new Map(),
    record: new Map(),
    host: new Map(),
    announcement: new Map(),
    check: new Map(),
  };
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
    for (const { resource, digest } of rows) this.#put(resource, digest);
    const changes = this.#pipeline.apply({
      upserts: rows.map(({ resource }) => resource),
      deletes: [],
    });
    this.#save({});
    return changes;
  }

  /** `completes`: with this delta the state is all there is. Resources that are held already change nothing. */
  applyResources(delta: Delta, completes: boolean): FlowChanges {
    const deletes = delta.deletes.filter(({ kind, id }) => this.#held[kind].delete(id));
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
    const digests = [...this.#all()].map(({ resource, digest }) => [keyText(resource), digest]);
    return Object.fromEntries(digests);
  }

  get<Kind extends ResourceKind>(kind: Kind, id: string): ResourceOf<Kind> | undefined {
    return this.#held[kind].get(id)?.resource;
  }

  /** Of an endpoint's object; `undefined` for an endpoint that is not known. */
  uidsOf(id: string): readonly string[] | undefined {
    const endpoint = this.get("endpoint", id);
    return endpoint && (endpoint.uids ?? []);
  }

  all<Kind extends ResourceKind>(kind: Kind): readonly ResourceOf<Kind>[] {
    return Array.from(this.#held[kind].values(), ({ resource }) => resource);
  }

  /** How many resources of each kind there are. */
  counts(): Readonly<Record<string, number>> {
    const counts = resourceKinds.map((kind) => [kind, this.#held[kind].size] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  *#all(): Iterable<Held<Resource>> {
    for (const kind of resourceKinds) yield* this.#held[kind].values();
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
    const upserts = Array.from(this.#all(), ({ resource }) => resource);
    const numbers = this.numbers.entries();
    return { delta: { upserts, deletes: [] }, numbers, complete: this.#complete };
  }

  /** Whether the resource is news. */
  #hold(resource: Resource): boolean {
    const digest = digestOf(resource);
    if (this.#held[resource.kind].get(resource.id)?.digest === digest) return false;
    this.#put(resource, digest);
    return true;
  }

  #put(resource: Resource, digest: string): void {
    const held: Map<string, Held<Resource>> = this.#held[resource.kind];
    held.set(resource.id, { resource, digest });
  }
}
