import type { Flow } from "../openflow/flow.ts";
import type { Delta } from "../southbound/resources.ts";
import { DomainFeature } from "./domain-feature.ts";
import { EndpointFeature } from "./endpoint-feature.ts";
import { type Change, type Fact, type FactKind, Facts, type LocalDelta } from "./fact.ts";
import type { Feature, Problem, Render } from "./feature.ts";
import { type FlowChanges, FlowStore } from "./flow-store.ts";
import { renderForwarding } from "./forwarding.ts";
import { NodeFeature } from "./node-feature.ts";
import { NumberUse } from "./number-use.ts";
import type { Numbers } from "./numbers.ts";
import { PolicyFeature } from "./policy-feature.ts";
import { PostureFeature } from "./posture-feature.ts";

export interface PipelineOptions {
  /** The node's own name. */
  readonly node: string;
  /** Only this pipeline changes them. */
  readonly numbers: Numbers;
}

const nothing = { upserts: [], deletes: [] } as const;

/**
 * All flows of a node's switch, as a function of the facts that hold: how they came to hold makes no difference, as long
 * as the numbers are the same. A missing or unreadable fact leaves flows out, and what no flow matches is dropped.
 */
export class Pipeline {
  readonly #facts = new Facts();
  readonly #store = new FlowStore();
  readonly #numbers: NumberUse;
  readonly #features: readonly Feature[];
  /** Units to render, by name. */
  readonly #marked = new Map<string, Render>();
  readonly #problems = new Map<string, readonly Problem[]>();

  constructor({ node, numbers }: PipelineOptions) {
    this.#numbers = new NumberUse(numbers);
    this.#features = [
      new DomainFeature(this.#facts),
      new NodeFeature(node, this.#facts),
      new PolicyFeature(this.#facts),
      new PostureFeature(this.#facts),
      new EndpointFeature(node, this.#facts),
    ];
    this.#store.setUnit("forwarding", renderForwarding());
  }

  /**
   * Takes new facts; the first call also gives the flows that depend on none. The changes belong together into one atomic
   * bundle, in which the order does not matter. Unknown deletes and repeated upserts change nothing. O(changed).
   */
  apply(delta: Delta, local: LocalDelta = nothing): FlowChanges {
    for (const fact of [...delta.upserts, ...local.upserts]) this.#set(fact.kind, fact.id, fact);
    for (const { kind, id } of [...delta.deletes, ...local.deletes]) this.#set(kind, id, undefined);
    for (const [unit, render] of this.#marked) this.#render(unit, render);
    this.#marked.clear();
    this.#numbers.releaseUnused();
    return this.#store.takeChanges();
  }

  #set(kind: FactKind, id: string, after: Fact | undefined): void {
    const before = this.#facts.set(kind, id, after);
    if (before === undefined && after === undefined) return;
    const change = { kind, id, before, after } as Change;
    for (const feature of this.#features) {
      feature.change(change, (unit, render) => this.#marked.set(unit, render));
    }
  }

  #render(unit: string, render: Render): void {
    const problems: Problem[] = [];
    const flows = this.#numbers.track(unit, (number) =>
      render({ number, report: (problem) => problems.push(problem) }),
    );
    this.#store.setUnit(unit, flows);
    if (problems.length > 0) this.#problems.set(unit, problems);
    else this.#problems.delete(unit);
  }

  /** Everything that the switch should hold now. */
  flows(): Iterable<Flow> {
    return this.#store.flows();
  }

  /** How many flows there are. */
  get length(): number {
    return this.#store.size;
  }

  /** What could not be put into flows. */
  *problems(): Iterable<Problem> {
    for (const problems of this.#problems.values()) yield* problems;
  }
}
