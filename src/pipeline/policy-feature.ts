// Rules, as conjunctions. A flow of a clause belongs to what it matches (an identity, a region, a service), and lists the
// rules that name it; so a change of a group or rule renders the flows of the members it concerns, each once.
import { type Prefix, formatPrefix } from "../net/address.ts";
import type { Direction } from "../model/policy.ts";
import type { Flow } from "../openflow/flow.ts";
import type { RuleResource } from "../southbound/resources.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import {
  type Change,
  type Feature,
  type Mark,
  type RenderContext,
  SetMap,
  comesOrGoes,
} from "./feature.ts";
import { buildFlow, load, whereArgument, whereRegister } from "./flow-builder.ts";
import type { LookupIndex } from "./lookup-index.ts";
import { NetworkIndex } from "./network-index.ts";
import { stages } from "./policy-stage.ts";
import { type PlacedRule, renderClause, renderSubjects, renderVerdict } from "./rule-flows.ts";
import { RulePlaces } from "./rule-places.ts";
import { type RuleSlot, equalSlotOf, longestList, slotAt } from "./rule-slot.ts";
import { type ServiceMatch, servicesOf } from "./service-match.ts";

const directions = ["egress", "ingress"] as const satisfies readonly Direction[];

type Role = "subject" | "peer";

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
  // A group's id can be long, and text made of it would have to be hashed anew for each of its flows.
  readonly #users: Readonly<Record<Role, Readonly<Record<Direction, SetMap<string, string>>>>> = {
    subject: { egress: new SetMap(), ingress: new SetMap() },
    peer: { egress: new SetMap(), ingress: new SetMap() },
  };
  /** Direction and service → rules. */
  readonly #serviceUsers = new SetMap<string, string>();
  /** Direction and tier → the order of its rules. */
  readonly #places = new Map<string, RulePlaces>();

  readonly #lookups: LookupIndex;

  constructor(facts: Facts, lookups: LookupIndex) {
    this.#facts = facts;
    this.#lookups = lookups;
  }

  readonly on: Feature["on"] = {
    group: (change, mark) => this.#changeGroup(change, mark),
    rule: ({ before, after }, mark) => {
      if (before !== undefined) this.#setRule(before, false, mark);
      if (after !== undefined) this.#setRule(after, true, mark);
    },
    // Only identities with a posture, those of this node, have subject flows.
    posture: (change, mark) => {
      if (!comesOrGoes(change)) return;
      for (const direction of directions) this.#markIdentity("subject", direction, change.id, mark);
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
    const misread = this.#networks.isMisread(id);
    for (const prefix of this.#networks.setGroup(id, after?.networks))
      this.#markRegion(prefix, mark);
    const known = (before === undefined) === (after === undefined);
    if (!known || misread !== this.#networks.isMisread(id)) this.#markUsable(id, mark);
    for (const direction of directions) {
      for (const role of ["subject", "peer"] as const) {
        const users = this.#users[role][direction].get(id);
        if (users.size === 0) continue;
        for (const identity of changed) this.#markIdentity(role, direction, identity, mark);
      }
    }
  }

  /** A group came or went, or can or cannot be read any more: rules that must not be weakened by that are rendered. */
  #markUsable(group: string, mark: Mark): void {
    mark(`group ${group}`, (context) => {
      if (this.#networks.isMisread(group)) {
        const message = "a network is no CIDR and matches nothing";
        context.report({ resource: { kind: "group", id: group }, message });
      }
      return [];
    });
    for (const direction of directions) {
      for (const role of ["subject", "peer"] as const) {
        for (const rule of this.#rules(this.#users[role][direction].get(group))) {
          if (rule.action !== "allow") this.#markSubjects(rule, mark);
        }
      }
    }
  }

  #markSubjects(rule: RuleResource, mark: Mark): void {
    for (const group of rule.subjects) {
      for (const identity of this.#facts.get("group", group)?.identities ?? []) {
        this.#markIdentity("subject", rule.direction, identity, mark);
      }
    }
    this.#markRule(rule.id, mark);
  }

  /** `undefined` for a rule without effect: Kubernetes NetworkPolicy knows no rule but allow. */
  #place(rule: RuleResource, context: RenderContext): PlacedRule | undefined {
    if (rule.tier === "networkpolicy" && rule.action !== "allow") return undefined;
    const number = context.number("rule", rule.id);
    const slot = this.#slotOf(rule, number);
    return typeof slot === "string"
      ? { rule, number, slot: undefined, blocked: slot }
      : { rule, number, slot, blocked: this.#whyWeakened(rule) };
  }

  #slotOf(rule: RuleResource, number: number): RuleSlot | string {
    if (rule.tier === "networkpolicy") return equalSlotOf(number);
    const found = this.#placesFor(rule).placeOf(rule);
    return found.kind === "place" ? slotAt(found.place) : found.reason;
  }

  #placesFor({ direction, tier }: RuleResource): RulePlaces {
    const key = `${direction} ${tier}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const places = new RulePlaces(longestList);
    this.#places.set(key, places);
    return places;
  }

  /** Without one of its groups a rule that allows lets less through, but any other might let more. */
  #whyWeakened(rule: RuleResource): string | undefined {
    if (rule.action === "allow") return undefined;
    const unusable = [...groupsIn(rule, "subject"), ...groupsIn(rule, "peer")].find(
      (group) => !this.#facts.has("group", group) || this.#networks.isMisread(group),
    );
    return unusable === undefined ? undefined : `group ${unusable} is missing or cannot be read`;
  }

  #setRule(rule: RuleResource, present: boolean, mark: Mark): void {
    const { id, direction } = rule;
    const set = (users: SetMap<string, string>, key: string): void => {
      if (present) users.add(key, id);
      else users.delete(key, id);
    };
    for (const role of ["subject", "peer"] as const) {
      for (const group of groupsIn(rule, role)) set(this.#users[role][direction], group);
    }
    for (const { key } of servicesOf(rule)) set(this.#serviceUsers, `${direction} ${key}`);
    if (rule.tier !== "networkpolicy") this.#placesFor(rule).set(rule, present);
    this.#markUnits(rule, mark);
  }

  /** Everything that is rendered differently where the rule is another. */
  #markUnits(rule: RuleResource, mark: Mark): void {
    const { id, direction } = rule;
    for (const role of ["subject", "peer"] as const) {
      for (const group of groupsIn(rule, role)) {
        for (const identity of this.#facts.get("group", group)?.identities ?? []) {
          this.#markIdentity(role, direction, identity, mark);
        }
        if (role === "subject") continue;
        for (const prefix of this.#networks.regionsOf(group)) {
          this.#markNetwork(direction, prefix, mark);
        }
        for (const set of this.#lookups.setsIn(group)) this.markNames(set, mark);
      }
    }
    for (const service of servicesOf(rule)) this.#markService(direction, service, mark);
    this.#markRule(id, mark);
  }

  /** Rules that another's coming or going has moved. */
  settle(mark: Mark): void {
    for (const places of this.#places.values()) {
      for (const id of places.settle()) {
        const rule = this.#facts.get("rule", id);
        if (rule !== undefined) this.#markUnits(rule, mark);
      }
    }
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
      const rules = this.#placed("peer", direction, this.#networks.groupsOf(prefix), context);
      if (rules.length === 0) return [];
      const region = context.number("region", formatPrefix(prefix));
      return renderClause("peer", [whereRegister(stages[direction].peerRegion, region)], rules);
    });
  }

  /** Destinations that have a set of names: only rules of egress know any. */
  markNames(set: string, mark: Mark): void {
    mark(`names ${set}`, (context) => {
      const rules = this.#placed("peer", "egress", this.#lookups.groupsOf(set), context);
      if (rules.length === 0) return [];
      const number = context.number("names", set);
      return renderClause("peer", [whereRegister("destinationNames", number)], rules);
    });
  }

  #markService(direction: Direction, service: ServiceMatch, mark: Mark): void {
    mark(`service ${direction} ${service.key}`, (context) => {
      const rules = this.#rules(this.#serviceUsers.get(`${direction} ${service.key}`))
        .map((rule) => this.#place(rule, context))
        .filter((placed) => placed !== undefined);
      return renderClause(
        "service",
        [whereRegister("service", service.value, service.mask)],
        rules,
      );
    });
  }

  #markRule(id: string, mark: Mark): void {
    mark(`rule ${id}`, (context) => {
      const rule = this.#facts.get("rule", id);
      return rule === undefined ? [] : this.#renderRule(rule, context);
    });
  }

  #rules(ids: Iterable<string>): readonly RuleResource[] {
    return Array.from(ids, (id) => this.#facts.get("rule", id)).filter(
      (rule) => rule !== undefined,
    );
  }

  /** The rules in which one of the groups has the role. */
  #placed(
    role: Role,
    direction: Direction,
    groups: Iterable<string>,
    context: RenderContext,
  ): readonly PlacedRule[] {
    const ids = new Set<string>();
    for (const group of groups) {
      for (const id of this.#users[role][direction].get(group)) ids.add(id);
    }
    return this.#rules(ids)
      .map((rule) => this.#place(rule, context))
      .filter((placed) => placed !== undefined);
  }

  #renderRule(rule: RuleResource, context: RenderContext): readonly Flow[] {
    const resource = { kind: "rule", id: rule.id } as const;
    const placed = this.#place(rule, context);
    if (placed === undefined) {
      context.report({ resource, message: `${rule.action} has no effect in tier networkpolicy` });
      return [];
    }
    if (placed.blocked !== undefined) {
      const message = `${placed.blocked}; the traffic of its subjects is dropped`;
      context.report({ resource, message });
    }
    return renderVerdict(placed);
  }

  #renderSubject(direction: Direction, identity: string, context: RenderContext): readonly Flow[] {
    if (!this.#facts.has("posture", identity)) return [];
    const rules = this.#placed("subject", direction, this.#groups.get(identity), context);
    if (rules.length === 0) return [];
    const match = [whereRegister(stages[direction].subject, context.number("identity", identity))];
    return renderSubjects(match, rules);
  }

  #renderPeer(direction: Direction, identity: string, context: RenderContext): readonly Flow[] {
    const rules = this.#placed("peer", direction, this.#groups.get(identity), context);
    if (rules.length === 0) return [];
    const match = [whereRegister(stages[direction].peer, context.number("identity", identity))];
    return renderClause("peer", match, rules);
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
