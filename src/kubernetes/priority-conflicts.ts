// ClusterNetworkPolicies of one tier with one priority that can meet in one connection. Upstream leaves open which of them then
// decides; here it is the first by name, and each of them is told.
import type {
  Direction,
  EndpointSelector,
  LabelSelector,
  Policy,
  SelectorRequirement,
  ZoneSelector,
} from "../model/policy.ts";
import { requirementsOf } from "../model/selector.ts";

/** Whether some value, or the absence of one, meets all requirements on one label. */
function canMeet(requirements: readonly SelectorRequirement[]): boolean {
  const absent = requirements.every(
    ({ operator }) => operator === "DoesNotExist" || operator === "NotIn",
  );
  if (absent) return true;
  if (requirements.some(({ operator }) => operator === "DoesNotExist")) return false;
  const [first, ...others] = requirements.filter(({ operator }) => operator === "In");
  // Without a list of values there is always one more.
  if (first === undefined) return true;
  return first.values.some(
    (value) =>
      others.every(({ values }) => values.includes(value)) &&
      !requirements.some(({ operator, values }) => operator === "NotIn" && values.includes(value)),
  );
}

/** Whether some labels meet both. */
function meet(a: LabelSelector, b: LabelSelector): boolean {
  const requirements = [...requirementsOf(a), ...requirementsOf(b)];
  return [...Map.groupBy(requirements, ({ key }) => key).values()].every(canMeet);
}

function zonesMeet(a: ZoneSelector, b: ZoneSelector): boolean {
  if (a.kind === "labels" && b.kind === "labels") return meet(a.selector, b.selector);
  return a.kind !== "name" || b.kind !== "name" || a.name === b.name;
}

/** Whether there could be an endpoint that both select. */
export function selectorsMeet(a: EndpointSelector, b: EndpointSelector): boolean {
  return zonesMeet(a.zones, b.zones) && meet(a.endpoints, b.endpoints);
}

const directions = ["ingress", "egress"] as const satisfies readonly Direction[];

function policiesMeet(a: Policy, b: Policy): boolean {
  const both = directions.some((each) => a[each].length > 0 && b[each].length > 0);
  return both && selectorsMeet(a.subject, b.subject);
}

/** Keeps the policies by their place in the order. Cost of a change: the policies of the same place. */
export class PriorityConflicts {
  readonly #policies = new Map<string, Policy>();
  readonly #byPlace = new Map<string, Set<string>>();
  readonly #conflicts = new Map<string, ReadonlySet<string>>();

  /** @returns ids of the policies whose conflicts are others than before; those that are there now. */
  set(id: string, policy: Policy | undefined): readonly string[] {
    const before = new Map(
      [...this.#at(this.#policies.get(id))].map((each) => [each, this.of(each)]),
    );
    this.#unfile(id);
    if (policy !== undefined) this.#file(id, policy);
    for (const each of this.#at(policy)) if (!before.has(each)) before.set(each, this.of(each));
    const touched = [...before.keys()].filter((each) => this.#policies.has(each));
    for (const each of touched) this.#conflicts.set(each, this.#find(each));
    if (policy === undefined) this.#conflicts.delete(id);
    return touched.filter((each) => this.of(each).join("\n") !== before.get(each)?.join("\n"));
  }

  /** Ids of the policies that the policy conflicts with, sorted. */
  of(id: string): readonly string[] {
    return [...(this.#conflicts.get(id) ?? [])].toSorted();
  }

  #at(policy: Policy | undefined): ReadonlySet<string> {
    return (policy && this.#byPlace.get(placeOf(policy))) ?? new Set();
  }

  #file(id: string, policy: Policy): void {
    this.#policies.set(id, policy);
    const place = placeOf(policy);
    const there = this.#byPlace.get(place) ?? new Set();
    this.#byPlace.set(place, there.add(id));
  }

  #unfile(id: string): void {
    const policy = this.#policies.get(id);
    if (policy === undefined) return;
    this.#policies.delete(id);
    const there = this.#byPlace.get(placeOf(policy));
    there?.delete(id);
    if (there?.size === 0) this.#byPlace.delete(placeOf(policy));
  }

  #find(id: string): ReadonlySet<string> {
    const policy = this.#policies.get(id);
    if (policy === undefined) return new Set();
    const others = [...this.#at(policy)].filter((each) => {
      const other = this.#policies.get(each);
      return each !== id && other !== undefined && policiesMeet(policy, other);
    });
    return new Set(others);
  }
}

function placeOf({ tier, priority }: Policy): string {
  return `${tier} ${priority}`;
}
