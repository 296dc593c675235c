// Where in a policy something stands, and what becomes of what is not understood there.
import type { Peer } from "../model/policy.ts";
import { type JsonObject, type Problem, unknownFields } from "./json.ts";

/** Stands for a part that matches nothing: both a peer and a service. */
export type Invalid = Extract<Peer, { kind: "invalid" }>;

/** What a part is translated with: where it stands, whose policy it is, and where problems go. */
export class Place {
  /** Of the policy; empty where it has none. */
  readonly namespace: string;
  readonly #field: string;
  readonly #problems: Problem[];

  constructor(namespace: string, field: string, problems: Problem[]) {
    this.namespace = namespace;
    this.#field = field;
    this.#problems = problems;
  }

  at(step: string | number): Place {
    const field = typeof step === "number" ? `${this.#field}[${step}]` : `${this.#field}.${step}`;
    return new Place(this.namespace, field, this.#problems);
  }

  get field(): string {
    return this.#field;
  }

  report(...problems: readonly Problem[]): void {
    this.#problems.push(...problems);
  }

  /** Reports a part that stands for nothing from now on. */
  invalid(message: string): Invalid {
    this.report({ field: this.#field, message });
    return { kind: "invalid", reason: `${this.#field}: ${message}` };
  }
}

/** An unknown field may narrow what the known ones say, so it cannot be passed over. */
export function findUnknown(
  value: JsonObject,
  place: Place,
  known: readonly string[],
): Invalid | undefined {
  const [extra] = unknownFields(value, known);
  return extra === undefined ? undefined : place.at(extra).invalid("unknown field");
}
