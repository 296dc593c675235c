// DNS messages of endpoints whose rules name domain names: their questions are shown to the agent, and the answers wait until it
// lets them go on. What shows them are two flows of the agent's own, which end when it does not renew them: without an agent
// answers are not held back, and nothing new is learnt from them.
import { type Family, tryParseAddress } from "../net/address.ts";
import { parseMac } from "../net/mac.ts";
import { AddressError } from "../net/errors.ts";
import { protocolNumbers } from "../net/protocol.ts";
import type { Flow } from "../openflow/flow.ts";
import type { EndpointResource, RuleResource } from "../southbound/resources.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import { type Change, type Feature, type Mark, SetMap } from "./feature.ts";
import {
  type KnownMatch,
  buildFlow,
  call,
  setField,
  whereFamily,
  whereField,
  whereRegister,
} from "./flow-builder.ts";
import { whereState } from "./connection.ts";
import { routerMac } from "./neighbour.ts";
import { places } from "./registers.ts";

/** RFC 1035 section 4.2. */
export const dnsPort = 53;

/** Of the agent's connection to the switch: nobody else's gets the packets. */
export const agentControllerId = 0x1b0d;

const cookie = encodeCookie({ feature: "watch", number: 0 });

export function isWatchBeat({ cookie: found }: Flow): boolean {
  return found === cookie;
}

/** The agent's own flows, in force for so many seconds: answers pause, questions are only shown. */
export function renderWatchBeat(seconds: number): readonly Flow[] {
  const beat = (priority: number, match: readonly KnownMatch[], pause: boolean): Flow => ({
    ...buildFlow({
      table: "Watch",
      priority,
      cookie,
      match,
      actions: [
        { kind: "controller", controllerId: agentControllerId, ...(pause ? { pause } : {}) },
      ],
    }),
    hardTimeoutSeconds: seconds,
  });
  return [beat(100, [whereState(["reply"])], true), beat(0, [], false)];
}

function tryParseMac(text: string): bigint | undefined {
  try {
    return parseMac(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

export class WatchFeature implements Feature {
  readonly #node: string;
  readonly #facts: Facts;
  readonly #local = new Set<string>();
  /** Peer group → rules of egress. */
  readonly #users = new SetMap<string, string>();
  /** Groups with names. */
  readonly #naming = new Set<string>();

  constructor(node: string, facts: Facts) {
    this.#node = node;
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    endpoint: ({ id, after }, mark) => {
      if (after?.node === this.#node) this.#local.add(id);
      else this.#local.delete(id);
      this.#mark(id, mark);
    },
    port: ({ id }, mark) => this.#mark(id, mark),
    group: (change, mark) => this.#changeGroup(change, mark),
    rule: ({ id, before, after }, mark) => {
      const names = [before, after].some((rule) => this.#namesSomething(rule));
      for (const group of peersOf(before)) this.#users.delete(group, id);
      for (const group of peersOf(after)) this.#users.add(group, id);
      if (names) this.#markAll(mark);
    },
  };

  #changeGroup({ id, after }: Change<"group">, mark: Mark): void {
    const named = this.#naming.has(id);
    const names = (after?.domainNames ?? []).length > 0;
    if (names) this.#naming.add(id);
    else this.#naming.delete(id);
    const isSubject = this.#watching().some(({ subjects }) => subjects.includes(id));
    if (named !== names || isSubject) this.#markAll(mark);
  }

  #namesSomething(rule: RuleResource | undefined): boolean {
    return peersOf(rule).some((group) => this.#naming.has(group));
  }

  /** The rules that name names. */
  #watching(): readonly RuleResource[] {
    const ids = new Set([...this.#naming].flatMap((group) => [...this.#users.get(group)]));
    return [...ids].flatMap((id) => this.#facts.get("rule", id) ?? []);
  }

  #isWatched({ identity }: EndpointResource): boolean {
    return this.#watching().some(({ subjects }) =>
      subjects.some((id) => this.#facts.get("group", id)?.identities.includes(identity) ?? false),
    );
  }

  #markAll(mark: Mark): void {
    for (const id of this.#local) this.#mark(id, mark);
  }

  #mark(id: string, mark: Mark): void {
    mark(`watch ${id}`, () => this.#render(id));
  }

  #render(id: string): readonly Flow[] {
    const endpoint = this.#facts.get("endpoint", id);
    const ofport = this.#facts.get("port", id)?.ofport;
    if (endpoint?.node !== this.#node || ofport === undefined) return [];
    const mac = tryParseMac(endpoint.mac);
    if (mac === undefined || this.#naming.size === 0 || !this.#isWatched(endpoint)) return [];
    const families = new Set(
      endpoint.addresses.flatMap((text) => tryParseAddress(text)?.family ?? []),
    );
    return [...families].flatMap((family) => [
      renderQuestions(family, ofport),
      renderAnswers(family, ofport, mac),
    ]);
  }
}

function peersOf(rule: RuleResource | undefined): readonly string[] {
  return rule === undefined || rule.direction !== "egress" || rule.peers === "any"
    ? []
    : rule.peers;
}

function whereUdp(family: Family): readonly KnownMatch[] {
  return [whereFamily(family), whereField("ip_proto", protocolNumbers.UDP)];
}

/** What the policies have let out. */
function renderQuestions(family: Family, ofport: number): Flow {
  return buildFlow({
    table: "Forward",
    priority: 200,
    cookie: encodeCookie({ feature: "watch", number: ofport }),
    match: [whereField("in_port", ofport), ...whereUdp(family), whereField("udp_dst", dnsPort)],
    actions: [call("Watch"), { kind: "dec-ttl" }, setField("eth_src", routerMac)],
    next: "Output",
  });
}

/** Only on connections that the endpoint has opened. */
function renderAnswers(family: Family, ofport: number, mac: bigint): Flow {
  return buildFlow({
    table: "Output",
    priority: 200,
    cookie: encodeCookie({ feature: "watch", number: ofport }),
    match: [
      whereRegister("place", places.local),
      whereRegister("location", ofport),
      whereState(["tracked", "established", "reply"]),
      ...whereUdp(family),
      whereField("udp_src", dnsPort),
    ],
    actions: [call("Watch"), setField("eth_dst", mac), { kind: "output", port: ofport }],
  });
}
