// Postures: what happens to a local endpoint's traffic that no rule has decided.
import type { Direction } from "../model/policy.ts";
import type { Flow } from "../openflow/flow.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import type { Feature, RenderContext } from "./feature.ts";
import { buildFlow, whereRegister } from "./flow-builder.ts";
import { stages } from "./policy-stage.ts";

export class PostureFeature implements Feature {
  readonly #facts: Facts;

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    posture: ({ id }, mark) => mark(`posture ${id}`, (context) => this.#render(id, context)),
  };

  #render(identity: string, context: RenderContext): readonly Flow[] {
    const posture = this.#facts.get("posture", identity);
    if (posture === undefined) return [];
    const number = context.number("identity", identity);
    return (["egress", "ingress"] as const).map((direction: Direction) => {
      const stage = stages[direction];
      const isolated = posture[direction].length > 0;
      const verdict = isolated ? "deny" : "pass";
      return buildFlow({
        table: stage.posture,
        priority: 100,
        cookie: encodeCookie({ feature: "posture", direction, verdict, number }),
        match: [whereRegister(stage.subject, number)],
        ...(isolated ? {} : { next: stage.tiers.baseline.table }),
      });
    });
  }
}
