// On which nodes each policy is in force: from the nodes that it is for, the revisions that they were told and those that their
// switches have confirmed. Cost grows with the policies and nodes that a change or an acknowledgement concerns.
import { firstWord } from "../compute/words.ts";
import type { PolicyReach } from "../compute/subjects.ts";
import type { Ack } from "../southbound/messages.ts";

/** How far a policy has come. */
export interface PolicyStatus {
  /** Nodes on which all of it is in force. */
  readonly realised: number;
  /** Nodes that have a subject of it. */
  readonly nodes: number;
  /** Parts that switches do not take. What these would allow is closed. */
  readonly refusals: readonly Refusal[];
}

interface Refusal {
  readonly node: string;
  readonly message: string;
}

/** What was told to a node and what it has confirmed, by revision. */
export interface NodeProgress {
  readonly revision: number;
  readonly confirmed: number;
}

export interface PolicyRealisationOptions {
  /** The nodes on which a policy is to be in force. */
  readonly nodesOf: (policy: string) => ReadonlySet<string>;
  /** `undefined` for a node whose agent is not connected. */
  readonly progressOf: (node: string) => NodeProgress | undefined;
  /** The policy's status may be another than before. */
  readonly onChange: (policy: string) => void;
}

export class PolicyRealisation {
  readonly #options: PolicyRealisationOptions;
  /** By policy and node, the revision that the node has still to confirm. */
  readonly #pending = new Map<string, Map<string, number>>();
  readonly #pendingAt = new Map<string, Set<string>>();
  /** By node and policy, what its switch does not take. */
  readonly #refusals = new Map<string, ReadonlyMap<string, readonly string[]>>();
  readonly #refusedAt = new Map<string, Set<string>>();

  constructor(options: PolicyRealisationOptions) {
    this.#options = options;
  }

  /** What a flush changed has been told to the agents. */
  told(reach: PolicyReach): void {
    for (const [policy, changed] of reach) {
      const nodes = this.#options.nodesOf(policy);
      if (changed === "all") this.#forget(policy);
      for (const node of changed === "all" ? nodes : changed) {
        if (nodes.has(node)) this.#expect(policy, node);
        else this.#settle(policy, node);
      }
      this.#options.onChange(policy);
    }
  }

  acknowledged(node: string, { revision, errors }: Ack): void {
    const changed = new Set<string>();
    for (const policy of this.#pendingAt.get(node) ?? []) {
      if ((this.#pending.get(policy)?.get(node) ?? 0) > revision) continue;
      this.#settle(policy, node);
      changed.add(policy);
    }
    for (const policy of this.#refuse(node, errors)) changed.add(policy);
    for (const policy of changed) this.#options.onChange(policy);
  }

  /** Cost grows with the nodes of the policy. */
  statusOf(policy: string): PolicyStatus {
    const nodes = this.#options.nodesOf(policy);
    const pending = this.#pending.get(policy);
    const refusing = [...(this.#refusedAt.get(policy) ?? [])].filter((node) => nodes.has(node));
    const late = new Set([...(pending?.keys() ?? []), ...refusing]);
    const refusals = refusing.toSorted().flatMap((node) => {
      const messages = this.#refusals.get(node)?.get(policy) ?? [];
      return messages.map((message) => ({ node, message }));
    });
    return { realised: nodes.size - late.size, nodes: nodes.size, refusals };
  }

  #expect(policy: string, node: string): void {
    const progress = this.#options.progressOf(node);
    if (progress !== undefined && progress.confirmed >= progress.revision) {
      this.#settle(policy, node);
      return;
    }
    // An agent that is away begins with all there is: whatever it confirms first covers this.
    setIn(this.#pending, policy, () => new Map()).set(node, progress?.revision ?? 0);
    setIn(this.#pendingAt, node, () => new Set()).add(policy);
  }

  #settle(policy: string, node: string): void {
    const nodes = this.#pending.get(policy);
    if (nodes?.delete(node) !== true) return;
    if (nodes.size === 0) this.#pending.delete(policy);
    removeFrom(this.#pendingAt, node, policy);
  }

  #forget(policy: string): void {
    for (const node of this.#pending.get(policy)?.keys() ?? []) {
      removeFrom(this.#pendingAt, node, policy);
    }
    this.#pending.delete(policy);
  }

  /** Takes all that the node's switch refuses now, and gives the policies for which that is another than before. */
  #refuse(node: string, errors: Ack["errors"]): readonly string[] {
    const before = this.#refusals.get(node);
    if (before === undefined && errors.length === 0) return [];
    const after = new Map<string, string[]>();
    for (const { resource, message } of errors) {
      const policy = resource.kind === "rule" ? firstWord(resource.id) : undefined;
      if (policy !== undefined) setIn(after, policy, () => []).push(message);
    }
    for (const policy of before?.keys() ?? []) removeFrom(this.#refusedAt, policy, node);
    for (const policy of after.keys()) setIn(this.#refusedAt, policy, () => new Set()).add(node);
    if (after.size === 0) this.#refusals.delete(node);
    else this.#refusals.set(node, after);
    return [...new Set([...(before?.keys() ?? []), ...after.keys()])].filter(
      (policy) => before?.get(policy)?.join() !== after.get(policy)?.join(),
    );
  }
}

function setIn<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function removeFrom(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key);
  if (values === undefined) return;
  values.delete(value);
  if (values.size === 0) map.delete(key);
}
