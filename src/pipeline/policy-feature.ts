// Rules, as conjunctions. A flow of a clause belongs to what it matches (an identity, a region, a service), and lists the
// rules that name it; so a change of a group or rule renders the flows of the members it concerns, each once.
import { type Prefix, formatPrefix } from "../net/address.ts";
import type { Direction } from "../model/policy.ts";
import type { Flow } from "../openflow/flow.ts";
import type { RuleResource } from "../southbound/resources.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import { type Change, type Feature, type Mark, type RenderContext, SetMap } from "./feature.ts";
import { buildFlow, load, whereArgument, whereRegister } from "./flow-builder.ts";
import { NetworkIndex } from "./network-index.ts";
import { stages } from "./policy-stage.ts";
import { renderClause, renderSubjects, renderVerdict } from "./rule-flows.ts";
import { type ServiceMatch, servicesOf } from "./service-match.ts";

const directions = ["egress", "ingress"] as const satisfies readonly Direction[];

type Role = "subject" | "peer";

function userKey(role: Role, direction: Direction, group: string): string {
  return `${role} ${direction} ${group}`;
}

function groupsIn(rule: RuleResource, role: Role): readonly string[] {
  if (role === "subject") return rule.subjects;
  return rule.peers === "any" ? [] : rule.peers;
}

export class PolicyFeature implements Feature {
  readonly #facts: Facts;
  readonly #networks = new NetworkIndex();
  /** Identity → groups that it is in. */
  readonly #groups = new SetMap<string, string>();
  /** Role, direction and group → rules. */
  readonly #users = new SetMap<string, string>();
  /** Direction and service → rules. */
  readonly #serviceUsers = new SetMap<string, string>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    group: (change, mark) => this.#changeGroup(change, mark),
    rule: ({ before, after }, mark) => {
      if (before !== undefined) this.#setRule(before, false, mark);
      if (after !== undefined) this.#setRule(after, true, mark);
    },
    // Only identities with a posture, those of this node, have subject flows.
    posture: ({ id }, mark) => {
      for (const direction of directions) this.#markIdentity("subject", direction, id, mark);
    },
  };

  #changeGroup({ id, before, after }: Change<"group">, mark: Mark): void {
    const old = new Set(before?.identities);
    const now = new Set(after?.identities);
    const gone = [...old].filter((identity) => !now.has(identity));
    const come = [...now].filter((identity) => !old.has(identity));
    for (const identity of gone) this.#groups.delete(identity, id);
    for (const identity of come) this.#groups.add(identity, id);
    const changed = [...gone, ...come];
    const regions = this.#networks.setGroup(id, after?.networks).changed;
    for (const prefix of regions) this.#markRegion(prefix, mark);
    for (const direction of directions) {
      for (const role of ["subject", "peer"] as const) {
        const users = this.#users.get(userKey(role, direction, id));
        if (users.size === 0) continue;
        for (const identity of changed) this.#markIdentity(role, direction, identity, mark);
        // A rule that refers to a missing group may have to be blocked.
        if ((before === undefined) !== (after === undefined)) {
          for (const rule of users) this.#markRule(rule, mark);
        }
      }
    }
  }

  #setRule(rule: RuleResource, present: boolean, mark: Mark): void {
    const { id, direction } = rule;
    const set = (users: SetMap<string, string>, key: string): void => {
      if (present) users.add(key, id);
      else users.delete(key, id);
    };
    for (const role of ["subject", "peer"] as const) {
      for (const group of groupsIn(rule, role)) {
        set(this.#users, userKey(role, direction, group));
        for (const identity of this.#facts.get("group", group)?.identities ?? []) {
          this.#markIdentity(role, direction, identity, mark);
        }
        if (role === "subject") continue;
        for (const prefix of this.#networks.regionsOf(group)) {
          this.#markNetwork(direction, prefix, mark);
        }
      }
    }
    for (const service of servicesOf(rule)) {
      set(this.#serviceUsers, `${direction} ${service.key}`);
      this.#markService(direction, service, mark);
    }
    this.#markRule(id, mark);
  }

  #markIdentity(role: Role, direction: Direction, identity: string, mark: Mark): void {
    mark(`${role} ${direction} ${identity}`, (context) =>
      role === "subject"
        ? this.#renderSubject(direction, identity, context)
        : this.#renderPeer(direction, identity, context),
    );
  }

  #markRegion(prefix: Prefix, mark: Mark): void {
    mark(`region ${formatPrefix(prefix)}`, (context) => this.#renderRegion(prefix, context));
    for (const direction of directions) this.#markNetwork(direction, prefix, mark);
  }

  #markNetwork(direction: Direction, prefix: Prefix, mark: Mark): void {
    mark(`network ${direction} ${formatPrefix(prefix)}`, (context) => {
      const rules = this.#rulesOf("peer", direction, this.#networks.groupsOf(prefix));
      if (rules.length === 0) return [];
      const region = context.number("region", formatPrefix(prefix));
      return renderClause(
        "peer",
        [whereRegister(stages[direction].peerRegion, region)],
        rules,
        context,
      );
    });
  }

  #markService(direction: Direction, service: ServiceMatch, mark: Mark): void {
    mark(`service ${direction} ${service.key}`, (context) => {
      const rules = this.#rules(this.#serviceUsers.get(`${direction} ${service.key}`));
      const match = [whereRegister("service", service.value, service.mask)];
      return renderClause("service", match, rules, context);
    });
  }

  #markRule(id: string, mark: Mark): void {
    mark(`rule ${id}`, (context) => {
      const rule = this.#facts.get("rule", id);
      return rule === undefined ? [] : renderVerdict(rule, context);
    });
  }

  #rules(ids: Iterable<string>): readonly RuleResource[] {
    return Array.from(ids, (id) => this.#facts.get("rule", id)).filter(
      (rule) => rule !== undefined,
    );
  }

  #rulesOf(role: Role, direction: Direction, groups: Iterable<string>): readonly RuleResource[] {
    const ids = new Set<string>();
    for (const group of groups) {
      for (const id of this.#users.get(userKey(role, direction, group))) ids.add(id);
    }
    return this.#rules(ids);
  }

  #renderSubject(direction: Direction, identity: string, context: RenderContext): readonly Flow[] {
    if (!this.#facts.has("posture", identity)) return [];
    const rules = this.#rulesOf("subject", direction, this.#groups.get(identity));
    if (rules.length === 0) return [];
    const match = [whereRegister(stages[direction].subject, context.number("identity", identity))];
    return renderSubjects(match, rules, context);
  }

  #renderPeer(direction: Direction, identity: string, context: RenderContext): readonly Flow[] {
    const rules = this.#rulesOf("peer", direction, this.#groups.get(identity));
    if (rules.length === 0) return [];
    const match = [whereRegister(stages[direction].peer, context.number("identity", identity))];
    return renderClause("peer", match, rules, context);
  }

  #renderRegion(prefix: Prefix, context: RenderContext): readonly Flow[] {
    if (!this.#networks.hasRegion(prefix)) return [];
    const number = context.number("region", formatPrefix(prefix));
    return [
      buildFlow({
        table: "Region",
        priority: prefix.length + 1,
        cookie: encodeCookie({ feature: "region", number }),
        match: whereArgument(prefix),
        actions: [load("resultRegion", number)],
      }),
    ];
  }
}
