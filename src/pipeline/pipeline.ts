import type { Flow } from "../openflow/flow.ts";
import type { Group } from "../openflow/group.ts";
import type { Delta } from "../southbound/resources.ts";
import { DomainFeature } from "./domain-feature.ts";
import { EndpointFeature } from "./endpoint-feature.ts";
import { type FactKind, type FactOf, Facts, type LocalDelta } from "./fact.ts";
import type { Feature, Problem, Render } from "./feature.ts";
import { type FlowChanges, FlowStore } from "./flow-store.ts";
import { renderForwarding } from "./forwarding.ts";
import { LookupFeature } from "./lookup-feature.ts";
import { LookupIndex } from "./lookup-index.ts";
import { NodeFeature } from "./node-feature.ts";
import { NumberUse } from "./number-use.ts";
import type { Numbers } from "./numbers.ts";
import { PolicyFeature } from "./policy-feature.ts";
import { PostureFeature } from "./posture-feature.ts";
import { ServiceFeature } from "./service-feature.ts";
import { WatchFeature } from "./watch-feature.ts";

export interface PipelineOptions {
  /** The node's own name. */
  readonly node: string;
  /** Only this pipeline changes them. */
  readonly numbers: Numbers;
}

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
    const lookups = new LookupIndex();
    const policy = new PolicyFeature(this.#facts, lookups);
    this.#features = [
      new DomainFeature(this.#facts),
      new NodeFeature(node, this.#facts),
      policy,
      new LookupFeature(this.#facts, lookups, (set, mark) => policy.markNames(set, mark)),
      new WatchFeature(node, this.#facts),
      new PostureFeature(this.#facts),
      new EndpointFeature(node, this.#facts),
      new ServiceFeature(node, this.#facts),
    ];
    this.#store.setUnit("forwarding", { flows: renderForwarding(), groups: [] });
  }

  /**
   * Takes in resources; the first call of all also gives the flows that depend on nothing. The changes belong together into
   * one atomic bundle, in which the order does not matter. Unknown deletes and repeated upserts change nothing.
   * O(changed).
   */
  apply(delta: Delta): FlowChanges {
    for (const resource of delta.upserts) this.#set(resource.kind, resource.id, resource);
    for (const { kind, id } of delta.deletes) this.#set(kind, id, undefined);
    return this.#renderMarked();
  }

  /** As `apply`, for what only the node knows. */
  applyLocal(delta: LocalDelta): FlowChanges {
    for (const fact of delta.upserts) this.#set(fact.kind, fact.id, fact);
    for (const { kind, id } of delta.deletes) this.#set(kind, id, undefined);
    return this.#renderMarked();
  }

  #renderMarked(): FlowChanges {
    for (const feature of this.#features) {
      feature.settle?.((unit, render) => this.#marked.set(unit, render));
    }
    for (const [unit, render] of this.#marked) this.#render(unit, render);
    this.#marked.clear();
    this.#numbers.releaseUnused();
    return this.#store.takeChanges();
  }

  #set<Kind extends FactKind>(kind: Kind, id: string, after: FactOf<Kind> | undefined): void {
    const before = this.#facts.set(kind, id, after);
    if (before === undefined && after === undefined) return;
    for (const { on } of this.#features) {
      on[kind]?.({ id, before, after }, (unit, render) => this.#marked.set(unit, render));
    }
  }

  #render(unit: string, render: Render): void {
    const problems: Problem[] = [];
    const groups: Group[] = [];
    const flows = this.#numbers.track(unit, (number) =>
      render({
        number,
        report: (problem) => problems.push(problem),
        group: (group) => groups.push(group),
      }),
    );
    this.#store.setUnit(unit, { flows, groups });
    if (problems.length > 0) this.#problems.set(unit, problems);
    else this.#problems.delete(unit);
  }

  /** Everything that the switch should hold now. */
  flows(): Iterable<Flow> {
    return this.#store.flows();
  }

  /** Every group that flows lead to. */
  groups(): Iterable<Group> {
    return this.#store.groups();
  }

  /** How many flows there are. */
  get length(): number {
    return this.#store.size;
  }

  /** What could not be put into flows. */
  problems(): readonly Problem[] {
    return [...this.#problems.values()].flat();
  }
}
