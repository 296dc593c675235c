// Identities, groups and rule sets, and how they hang together. What belongs to one of them is kept at it rather than in tables
// beside it: there is then nothing to look up and nothing to leave behind. Each property names who may write it.
import type { Policy } from "../model/policy.ts";
import { EncodedDelta, EncodedResource } from "../southbound/encoded.ts";
import type { NetworkBlock, ResourceKey } from "../southbound/resources.ts";
import { CompactSet } from "./compact-set.ts";
import { Counter } from "./counter.ts";
import type { GroupDefinition } from "./definition.ts";
import type { IdentityDefinition } from "./identity.ts";
import { byCodeUnits } from "./words.ts";

/** An identity that some placed endpoint has. */
export class Identity {
  readonly definition: IdentityDefinition;
  /** Nodes that host it, by the number of endpoints. Written by Identities. */
  readonly nodes = new Counter<string>();
  /** How many endpoints every node answers for; no node hosts them. Written by Identities. */
  everywhere = 0;
  /** Groups that it is in. Written by Groups. */
  readonly groups = new CompactSet<Group>();
  /** Written by Postures. */
  posture: EncodedResource | undefined;

  constructor(definition: IdentityDefinition) {
    this.definition = definition;
  }

  get id(): string {
    return this.definition.id;
  }
}

/** Members of a group that have one attribute, by its value. */
export interface Split {
  /** How often policies ask for it. */
  users: number;
  readonly parts: Map<string, Group>;
}

/** A group with its members at the moment. Written by Groups where nobody else is named. */
export class Group {
  readonly id: string;
  /** `undefined` for a part of another group and for a host list. */
  readonly definition: GroupDefinition | undefined;
  readonly identities = new CompactSet<Identity>();
  /** How often policies name it. */
  users = 0;
  /** By attribute; `undefined` while there are none. */
  splits: Map<string, Split> | undefined;
  /**
   * Host prefixes, by the number of endpoints or nodes; `undefined` but for host lists and groups of nodes. Written by
   * NamedHosts and NodeAddresses.
   */
  hosts: Counter<string> | undefined;
  /** Policies that isolate its members. Written by Postures. */
  isolating: CompactSet<Policy> | undefined;
  /** Policies of which it is the subject. Written by Subjects. */
  readonly subjectOf = new CompactSet<string>();
  /** The rules of which it is the subject. Written by Spans. */
  ruleSet: RuleSet | undefined;
  /** Rule sets that name it. Written by Spans. */
  readonly namedBy = new CompactSet<RuleSet>();
  /** Nodes that have it. Written by Spans. */
  readonly nodes = new CompactSet<string>();
  #encoded: EncodedResource | undefined;

  constructor(id: string, definition?: GroupDefinition) {
    this.id = id;
    this.definition = definition;
  }

  /** Parts by the value of the attribute. */
  partsBy(attribute: string): ReadonlyMap<string, Group> {
    return this.splits?.get(attribute)?.parts ?? noParts;
  }

  /** Must be called after each change of `identities` or `hosts`. */
  forgetEncoded(): void {
    this.#encoded = undefined;
  }

  /** The resource for its current members; built when it is first asked for. */
  get encoded(): EncodedResource {
    this.#encoded ??= new EncodedResource({
      kind: "group",
      id: this.id,
      identities: Array.from(this.identities, (identity) => identity.id).toSorted(byCodeUnits),
      networks: this.#networks,
      ...(this.definition?.kind === "names" ? { domainNames: this.definition.names } : {}),
    });
    return this.#encoded;
  }

  get #networks(): readonly NetworkBlock[] {
    if (this.definition?.kind === "networks") return this.definition.networks;
    const hosts = new Set(this.hosts?.keys() ?? []);
    return [...hosts].toSorted(byCodeUnits).map((cidr) => ({ cidr, except: [] }));
  }
}

const noParts: ReadonlyMap<string, Group> = new Map();

/** A rule resource with its groups. */
export interface GraphRule {
  readonly encoded: EncodedResource;
  /** Whoever is in it has the rule enforced. */
  readonly subject: Group;
  /** All that it names, the subject included; one may be there twice. */
  readonly groups: readonly Group[];
}

/** The rules of one subject, with what changed since they were last announced: nodes get all of them or none. */
export class RuleSet {
  readonly subject: Group;
  /** Nodes that have the rules. Written by Spans. */
  readonly nodes = new CompactSet<string>();
  /** Groups that the rules name, the subject included, by the number of rules. */
  readonly groups = new Counter<Group>();
  readonly #rules = new CompactSet<EncodedResource>();
  #added: EncodedResource[] | undefined;
  #removed: EncodedResource[] | undefined;
  #all: EncodedDelta | undefined;

  constructor(subject: Group) {
    this.subject = subject;
  }

  get isEmpty(): boolean {
    return this.#rules.size === 0;
  }

  /** Gives the groups that no rule named before. */
  add({ encoded, groups }: GraphRule): readonly Group[] {
    this.#rules.add(encoded);
    this.#all = undefined;
    // While no node has the rules there is nobody to whom a change would have to be told.
    if (this.nodes.size > 0) (this.#added ??= []).push(encoded);
    return groups.filter((group) => this.groups.add(group));
  }

  /** Gives the groups that no rule names any more. */
  remove({ encoded, groups }: GraphRule): readonly Group[] {
    this.#rules.delete(encoded);
    this.#all = undefined;
    if (this.nodes.size > 0) (this.#removed ??= []).push(encoded);
    return groups.filter((group) => this.groups.remove(group));
  }

  /** For nodes that have none of the rules. */
  get all(): EncodedDelta {
    this.#all ??= EncodedDelta.of([...this.#rules], []);
    return this.#all;
  }

  /** For nodes that have the rules as they were before the changes. */
  get changes(): EncodedDelta {
    const added = this.#added ?? [];
    const ids = new Set(added.map(({ id }) => id));
    const gone = (this.#removed ?? []).filter(({ id }) => !ids.has(id));
    return EncodedDelta.of(added, gone.map(keyOf));
  }

  /** For nodes that have the rules as they were before the changes and are to have none. */
  get withdrawal(): EncodedDelta {
    const added = new Set(this.#added);
    const kept = [...this.#rules].filter((encoded) => !added.has(encoded));
    return EncodedDelta.of([], [...kept, ...(this.#removed ?? [])].map(keyOf));
  }

  /** The changes have been announced. */
  settle(): void {
    this.#added = undefined;
    this.#removed = undefined;
  }
}

function keyOf({ kind, id }: EncodedResource): ResourceKey {
  return { kind, id };
}
