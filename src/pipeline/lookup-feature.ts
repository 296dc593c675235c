// Lookups: addresses that local endpoints have looked up under names that rules name, and the rules of these names. Only the
// endpoint that asked gets an answer's addresses.
import { formatAddress, tryParseAddress } from "../net/address.ts";
import type { Flow } from "../openflow/flow.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import { type Change, type Feature, type Mark, type RenderContext, SetMap } from "./feature.ts";
import { buildFlow, familyFields, load, whereFamily, whereField } from "./flow-builder.ts";
import type { LookupIndex } from "./lookup-index.ts";

function sameNames(a: readonly string[] = [], b: readonly string[] = []): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

export class LookupFeature implements Feature {
  readonly #facts: Facts;
  readonly #index: LookupIndex;
  /** Has the clauses of the rules rendered that name a set. */
  readonly #markSet: (set: string, mark: Mark) => void;
  readonly #byEndpoint = new SetMap<string, string>();

  constructor(facts: Facts, index: LookupIndex, markSet: (set: string, mark: Mark) => void) {
    this.#facts = facts;
    this.#index = index;
    this.#markSet = markSet;
  }

  readonly on: Feature["on"] = {
    lookup: (change, mark) => this.#changeLookup(change, mark),
    group: ({ id, before, after }, mark) => {
      if (sameNames(before?.domainNames, after?.domainNames)) return;
      const touched = new Set(this.#index.setsIn(id));
      for (const { lookup, before: set } of this.#index.setGroup(id, after?.domainNames)) {
        this.#markLookup(lookup, mark);
        for (const each of [set, this.#index.setOf(lookup)]) {
          if (each !== undefined) touched.add(each);
        }
      }
      for (const set of this.#index.setsIn(id)) touched.add(set);
      for (const set of touched) this.#markSet(set, mark);
    },
    port: ({ id }, mark) => {
      for (const lookup of this.#byEndpoint.get(id)) this.#markLookup(lookup, mark);
    },
  };

  #changeLookup({ id, before, after }: Change<"lookup">, mark: Mark): void {
    const sets = [this.#index.setOf(id)];
    this.#index.setLookup(id, after);
    sets.push(this.#index.setOf(id));
    if (before !== undefined) this.#byEndpoint.delete(before.endpoint, id);
    if (after !== undefined) this.#byEndpoint.add(after.endpoint, id);
    this.#markLookup(id, mark);
    for (const set of sets) if (set !== undefined) this.#markSet(set, mark);
  }

  #markLookup(id: string, mark: Mark): void {
    mark(`lookup ${id}`, (context) => this.#render(id, context));
  }

  #render(id: string, context: RenderContext): readonly Flow[] {
    const lookup = this.#facts.get("lookup", id);
    const set = this.#index.setOf(id);
    if (lookup === undefined || set === undefined) return [];
    const address = tryParseAddress(lookup.address);
    const ofport = this.#facts.get("port", lookup.endpoint)?.ofport;
    if (address === undefined || ofport === undefined) return [];
    // Two texts of one address would be two lookups of it.
    if (formatAddress(address) !== lookup.address) return [];
    const number = context.number("names", set);
    const { destination } = familyFields[address.family];
    return [
      buildFlow({
        table: "Name",
        priority: 100,
        cookie: encodeCookie({ feature: "names", number }),
        match: [
          whereField("in_port", ofport),
          whereFamily(address.family),
          whereField(destination, address.bits),
        ],
        actions: [load("destinationNames", number)],
      }),
    ];
  }
}
