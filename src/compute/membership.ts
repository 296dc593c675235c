// Identities and groups know each other: who is in what is written on both sides.
import type { Direction, EndpointSelector } from "../model/policy.ts";
import { EncodedResource } from "../southbound/encoded.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import type { CompactMap } from "./compact-map.ts";
import { CompactSet } from "./compact-set.ts";
import { Counter } from "./counter.ts";
import type { GroupDefinition } from "./definition.ts";
import type { IdentityDefinition } from "./identity.ts";
import { byCodeUnits } from "./words.ts";

/** An identity that some placed endpoint has. Each property names who may write it. */
export class Identity {
  readonly definition: IdentityDefinition;
  /** Nodes that host it, by the number of endpoints. Written by Identities. */
  readonly nodes = new Counter<string>();
  /** Groups that it is in. Written by Groups. */
  readonly groups = new CompactSet<Group>();

  constructor(definition: IdentityDefinition) {
    this.definition = definition;
  }

  get id(): string {
    return this.definition.id;
  }
}

/** Members of a group that have one attribute, by its value. */
export interface Split {
  /** Policies that ask for it. */
  users: number;
  readonly parts: Map<number, Group>;
}

/** A group with its members at the moment. Written by Groups where nobody else is named. */
export class Group {
  readonly id: string;
  /** `undefined` for a part of a group and for a group of networks. */
  readonly selector: EndpointSelector | undefined;
  readonly networks: readonly NetworkBlock[];
  readonly identities = new CompactSet<Identity>();
  /** Policies that name it. */
  users = 0;
  /** By attribute; `undefined` while there are none. */
  splits: Map<string, Split> | undefined;
  /** Policies that isolate its members, with the directions; `undefined` while there are none. Written by Postures. */
  isolating: CompactMap<string, readonly Direction[]> | undefined;
  #encoded: EncodedResource | undefined;

  constructor(id: string, definition?: GroupDefinition) {
    this.id = id;
    this.selector = definition?.kind === "endpoints" ? definition.selector : undefined;
    this.networks = definition?.kind === "networks" ? definition.networks : noNetworks;
  }

  /** Parts by the value of the attribute. */
  partsBy(attribute: string): ReadonlyMap<number, Group> {
    return this.splits?.get(attribute)?.parts ?? noParts;
  }

  /** Must be called after each change of `identities`. */
  forgetEncoded(): void {
    this.#encoded = undefined;
  }

  /** The resource for its current members; built when it is first asked for. */
  get encoded(): EncodedResource {
    this.#encoded ??= new EncodedResource({
      kind: "group",
      id: this.id,
      identities: Array.from(this.identities, (identity) => identity.id).toSorted(byCodeUnits),
      networks: this.networks,
    });
    return this.#encoded;
  }
}

const noNetworks: readonly NetworkBlock[] = [];
const noParts: ReadonlyMap<number, Group> = new Map();
