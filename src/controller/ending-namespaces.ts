// Namespaces that are being deleted. The API lets their objects go in any order, and pods take their time to end: without their
// policies they would be open meanwhile, and without their Endpoints cut off from those whom they have to tell.
//
// News of different kinds come by different ways. So whether a namespace is ending when something goes from it, the API is
// asked then: what the watch says may be older.
import { setTimeout as sleep } from "node:timers/promises";
import { fieldAt, stringOf } from "../kubernetes/json.ts";

export interface EndingNamespacesOptions {
  /** The namespace as the API has it now; `undefined` when there is none. */
  readonly read: (name: string) => Promise<unknown>;
  /** Something was taken out of the model. */
  readonly onChange: () => void;
}

type Removals = Map<string, () => void>;

/** Between attempts to ask an API that does not answer. */
const retryMs = 500;

export class EndingNamespaces {
  readonly #options: EndingNamespacesOptions;
  /** By name, the uid of the one that is being deleted. */
  readonly #ending = new Map<string, string>();
  /** By namespace and id: takes out of the model what has gone. */
  readonly #held = new Map<string, Removals>();
  readonly #asking = new Set<string>();

  constructor(options: EndingNamespacesOptions) {
    this.#options = options;
  }

  /** Namespaces that the API is being asked about. */
  get asking(): number {
    return this.#asking.size;
  }

  /** News of the namespace. @returns whether it is being deleted */
  set(name: string, object: unknown): boolean {
    const uid = stringOf(fieldAt(object, "metadata", "uid")) ?? "";
    const known = this.#ending.get(name);
    // Nobody takes a deletion back: another one has the name now, or none.
    if (known !== undefined && known !== uid) {
      this.#ending.delete(name);
      this.release(name);
    }
    if (fieldAt(object, "metadata", "deletionTimestamp") === undefined) return false;
    this.#ending.set(name, uid);
    return true;
  }

  /** Has `remove` called when it is known that the namespace is not being deleted, or when it is released. */
  hold(namespace: string, id: string, remove: () => void): void {
    const held: Removals = this.#held.get(namespace) ?? new Map();
    this.#held.set(namespace, held.set(id, remove));
    void this.#ask(namespace);
  }

  /** It is there again. */
  forget(namespace: string, id: string): void {
    this.#held.get(namespace)?.delete(id);
  }

  /** The namespace has no pods any more. */
  release(namespace: string): void {
    const held = this.#held.get(namespace);
    this.#held.delete(namespace);
    for (const remove of held?.values() ?? []) remove();
  }

  async #ask(namespace: string): Promise<void> {
    if (this.#asking.has(namespace)) return;
    this.#asking.add(namespace);
    while (!this.#ending.has(namespace) && (this.#held.get(namespace)?.size ?? 0) > 0) {
      // What goes during the question is not answered by it.
      const asked = [...(this.#held.get(namespace) ?? [])];
      try {
        const object = await this.#options.read(namespace);
        this.set(namespace, object);
        if (!this.#ending.has(namespace)) this.#remove(namespace, asked);
        this.#options.onChange();
      } catch {
        await sleep(retryMs, undefined, { ref: false });
      }
    }
    this.#asking.delete(namespace);
    this.#options.onChange();
  }

  #remove(namespace: string, asked: readonly (readonly [string, () => void])[]): void {
    const held = this.#held.get(namespace);
    for (const [id, remove] of asked) {
      if (held?.get(id) !== remove) continue;
      held.delete(id);
      remove();
    }
    if (held?.size === 0) this.#held.delete(namespace);
  }
}
