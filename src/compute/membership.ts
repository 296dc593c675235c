// Identities and groups know each other: who is in what is written on both sides.
import type { EndpointSelector } from "../model/policy.ts";
import { EncodedResource } from "../southbound/encoded.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import type { GroupDefinition } from "./definition.ts";
import type { IdentityDefinition } from "./identity.ts";
import { byCodeUnits } from "./words.ts";

/** An identity that some placed endpoint has, with its place in the graph. Each property names who may write it. */
export class Identity {
  readonly definition: IdentityDefinition;
  /** Endpoints by node. Written by Identities. */
  readonly endpointsByNode = new Map<string, number>();
  /** Groups that it is in. Written by Groups. */
  readonly groups = new Set<Group>();

  constructor(definition: IdentityDefinition) {
    this.definition = definition;
  }

  get id(): string {
    return this.definition.id;
  }
}

/** A group with its members at the moment. Written by Groups alone. */
export class Group {
  readonly id: string;
  /** `undefined` for a part of a group and for a group of networks. */
  readonly selector: EndpointSelector | undefined;
  readonly networks: readonly NetworkBlock[];
  readonly identities = new Set<Identity>();
  /** Parts of it by attribute and value, e.g. `TCP/http` → 8080 → those of its members that say so. */
  readonly parts = new Map<string, Map<number, Group>>();
  #encoded: EncodedResource | undefined;

  constructor(id: string, definition?: GroupDefinition) {
    this.id = id;
    this.selector = definition?.kind === "endpoints" ? definition.selector : undefined;
    this.networks = definition?.kind === "networks" ? definition.networks : [];
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
