// Identities and groups, and how they hang together. What belongs to one of them is kept at it rather than in tables
// beside it: there is then nothing to look up and nothing to leave behind. Each property names who may write it.
import type { Policy } from "../model/policy.ts";
import { EncodedResource } from "../southbound/encoded.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import { CompactSet } from "./compact-set.ts";
import { Counter } from "./counter.ts";
import type { GroupDefinition } from "./definition.ts";
import type { IdentityDefinition } from "./identity.ts";
import type { RuleSet } from "./rule-set.ts";
import { byCodeUnits } from "./words.ts";

/** An identity that some placed endpoint has. */
export class Identity {
  readonly definition: IdentityDefinition;
  /** Nodes that host it, by the number of endpoints. Written by Identities. */
  readonly nodes = new Counter<string>();
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
  /** Host prefixes, by the number of endpoints; `undefined` but for host lists. Written by NamedHosts. */
  hosts: Counter<string> | undefined;
  /** Policies that isolate its members. Written by Postures. */
  isolating: CompactSet<Policy> | undefined;
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
