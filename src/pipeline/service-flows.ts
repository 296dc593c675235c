// Flows and groups of a service: who may use which of its addresses, and which group picks the backend.
import { type Family, parsePrefix, prefixMask, widthOf } from "../net/address.ts";
import { AddressError } from "../net/errors.ts";
import { protocolNumbers } from "../net/protocol.ts";
import type { KnownFieldName } from "../openflow/field.ts";
import type { FlowMod } from "../openflow/flow-mod.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import type { ServiceResource } from "../southbound/resources.ts";
import { type Refusal, decodeCookie, encodeCookie, refusals } from "./cookie.ts";
import type { RenderContext } from "./feature.ts";
import {
  type FlowDraft,
  type KnownMatch,
  buildFlow,
  call,
  familyFields,
  load,
  subfield,
  whereFamily,
  whereField,
  whereRegister,
  wholeField,
} from "./flow-builder.ts";
import { destinationPorts, renderCommitTo } from "./gates.ts";
import { rejectPackets } from "./rejection.ts";
import type { ChosenBackend } from "./service-backends.ts";
import { serviceOf } from "./service-match.ts";
import type { FrontendTarget, Target } from "./service-target.ts";
import { tables } from "./tables.ts";

const priorities = { range: 300, port: 200, address: 100 } as const;

/** What becomes of a connection once it is known which service it is for. */
type Outcome = Pick<FlowDraft, "cookie" | "actions" | "next" | "meter">;

/** Backends by who the client is and where it came from. */
export interface Choices {
  readonly cluster: Outcome;
  readonly inside: Outcome;
  readonly outside: Outcome;
}

export function renderRefusal(reason: Refusal): Outcome {
  const cookie = encodeCookie({
    feature: "refusal",
    verdict: "deny",
    number: refusals[reason],
  });
  return { cookie };
}

/** The client is told at once. */
export function renderReject(reason: Refusal): Outcome {
  return { ...renderRefusal(reason), ...rejectPackets };
}

/** The next period of a service's affinity: its clients, as far as they are not remembered, are spread anew. */
export function affinityPeriod(seconds: number, affinitySeconds: number): number {
  return Math.floor(seconds / affinitySeconds);
}

/**
 * By which fields connections are spread; none for what the datapath's own hash does as well. With affinity by the client alone:
 * a flow that is learnt comes too late for what the client begins at the same time.
 */
function hashFieldsOf(service: ServiceResource): readonly KnownFieldName[] {
  const { protocol, family, affinitySeconds } = service;
  const { source, destination } = familyFields[family];
  if (affinitySeconds !== undefined) return [source];
  // The datapath's hash leaves the ports of UDP out, and all queries of a client would go to one server.
  return protocol === "UDP" ? [source, destination, "udp_src", "udp_dst"] : [];
}

export interface Picking {
  /** The service's. */
  readonly number: number;
  /** Whether only backends of this node are there. */
  readonly local: boolean;
  /** The time. */
  readonly seconds: number;
}

/** Has one of the backends picked, by a group when there are several. There is at least one. */
export function renderPick(
  service: ServiceResource,
  { number, local, seconds }: Picking,
  backends: readonly ChosenBackend[],
  context: RenderContext,
): { readonly outcome: Outcome; readonly flows: readonly Flow[] } {
  const cookie = encodeCookie({ feature: "service", number });
  const weighted = backends.map(({ key, weight }) => ({
    id: context.number("backend", key),
    weight,
  }));
  const [only] = weighted;
  const { affinitySeconds } = service;
  if (weighted.length === 1 && only !== undefined && affinitySeconds === undefined) {
    const actions = [load("backend", only.id)];
    return { outcome: { cookie, actions, next: "Backend" }, flows: [] };
  }
  const group = 2 * number + (local ? 1 : 0);
  const goOn = affinitySeconds === undefined ? call("Backend") : call("Remember");
  const buckets = weighted.map(({ id, weight }) => ({
    id,
    actions: [load("backend", id), goOn],
    weight,
  }));
  const hashFields = hashFieldsOf(service);
  context.group({
    id: group,
    type: "select",
    buckets,
    ...(hashFields.length > 0 && { hashFields }),
    ...(affinitySeconds !== undefined && {
      hashBasis: BigInt(affinityPeriod(seconds, affinitySeconds)),
    }),
  });
  if (affinitySeconds === undefined) {
    return { outcome: { cookie, actions: [{ kind: "group", group }] }, flows: [] };
  }
  const numbers = weighted.map(({ id }) => id);
  return {
    outcome: {
      cookie,
      actions: [load("backend", 0), load("choice", group), call("Affinity")],
      next: "Choice",
    },
    flows: renderAffinity({ service, number, group, affinitySeconds }, numbers),
  };
}

interface Affinity {
  readonly service: ServiceResource;
  readonly number: number;
  readonly group: number;
  readonly affinitySeconds: number;
}

/** Longest idle timeout of a flow. */
const longestSeconds = 0xffff;

/**
 * What a client has had counts as long as it is one of the backends. New connections of the client keep the learnt flow
 * alive; the datapath's flows of established ones do not lead there.
 */
function renderAffinity(affinity: Affinity, backends: readonly number[]): Flow[] {
  const { number, group } = affinity;
  const cookie = encodeCookie({ feature: "service", number });
  const chosen = whereRegister("choice", group);
  return [
    ...backends.map((backend) =>
      buildFlow({
        table: "Choice",
        priority: 200,
        cookie,
        match: [chosen, whereRegister("backend", backend)],
        next: "Backend",
      }),
    ),
    buildFlow({
      table: "Choice",
      priority: 100,
      cookie,
      match: [chosen],
      actions: [{ kind: "group", group }],
    }),
    buildFlow({
      table: "Remember",
      priority: 100,
      cookie: affinityCookie(number),
      match: [chosen, whereFamily(affinity.service.family)],
      actions: [learn(affinity)],
      next: "Backend",
    }),
  ];
}

/** Of the flows that a service's clients are remembered by, and of the one that makes them. */
function affinityCookie(number: number): bigint {
  return encodeCookie({ feature: "affinity", number });
}

/** Whether a client was remembered by it: the switch keeps and ends it by itself. */
export function isLearnt({ table, cookie }: Flow): boolean {
  return table === tables.Affinity.number && decodeCookie(cookie)?.feature === "affinity";
}

/** With a flow that makes clients remembered goes what it has made. */
export function forgetClients({ table, cookie }: Flow): readonly FlowMod[] {
  if (table !== tables.Remember.number || decodeCookie(cookie)?.feature !== "affinity") return [];
  const flow = { table: tables.Affinity.number, priority: 0, cookie, match: [], actions: [] };
  return [{ kind: "flow-mod", command: "delete", flow, cookieMask: (1n << 64n) - 1n }];
}

function learn({ service, number, group, affinitySeconds }: Affinity): Action {
  const { etherType, source } = familyFields[service.family];
  return {
    kind: "learn",
    table: tables.Affinity.number,
    priority: 100,
    cookie: affinityCookie(number),
    idleTimeoutSeconds: Math.min(affinitySeconds, longestSeconds),
    parts: [
      { kind: "match", to: subfield("choice"), from: BigInt(group) },
      { kind: "match", to: wholeField("eth_type"), from: BigInt(etherType) },
      { kind: "match", to: wholeField(source), from: wholeField(source) },
      { kind: "load", to: subfield("backend"), from: subfield("backend") },
    ],
  };
}

function whereVirtual({ domain, address }: Target, context: RenderContext): KnownMatch[] {
  return [
    whereRegister("domain", context.number("domain", domain)),
    whereFamily(address.family),
    whereField(familyFields[address.family].destination, address.bits),
  ];
}

function wherePort({ protocol }: Pick<ServiceResource, "protocol">, port: number): KnownMatch[] {
  return [
    whereField("ip_proto", protocolNumbers[protocol]),
    whereField(destinationPorts[protocol], port),
  ];
}

const inside = whereRegister("external", 0);
const outside = whereRegister("external", 1);

/** Addresses of the cluster are nobody's outside: who comes from there is refused with the rest of the address. */
export function renderClusterFrontend(
  service: ServiceResource,
  target: FrontendTarget,
  { cluster }: Choices,
  context: RenderContext,
): readonly Flow[] {
  const match = [...whereVirtual(target, context), ...wherePort(service, target.port), inside];
  return [buildFlow({ table: "Service", priority: priorities.port, match, ...cluster })];
}

/** One flow for both kinds of clients where the same backends are for both. */
function renderOpen(
  priority: number,
  match: readonly KnownMatch[],
  choices: Choices,
): readonly Flow[] {
  const flow = (client: readonly KnownMatch[], outcome: Outcome): Flow =>
    buildFlow({ table: "Service", priority, match: [...match, ...client], ...outcome });
  if (choices.inside === choices.outside) return [flow([], choices.inside)];
  return [flow([inside], choices.inside), flow([outside], choices.outside)];
}

/** Who may use it is asked of every client, as kube-proxy does. */
export function renderExternalFrontend(
  service: ServiceResource,
  target: FrontendTarget,
  choices: Choices,
  context: RenderContext,
): readonly Flow[] {
  const match = [...whereVirtual(target, context), ...wherePort(service, target.port)];
  const { sourceRanges } = service;
  if (sourceRanges === undefined) return renderOpen(priorities.port, match, choices);
  const ranges = sourceRanges.flatMap((text) => whereSource(text, service.family) ?? []);
  return [
    ...ranges.flatMap((source) => renderOpen(priorities.range, [...match, ...source], choices)),
    buildFlow({
      table: "Service",
      priority: priorities.port,
      match,
      ...renderRefusal("sourceRange"),
    }),
  ];
}

/** `undefined` for what is of the other family or no prefix at all, and lets nobody in. */
function whereSource(text: string, family: Family): readonly (readonly KnownMatch[])[] | undefined {
  try {
    const prefix = parsePrefix(text);
    if (prefix.family !== family) return undefined;
    if (prefix.length === 0) return [[]];
    const { source } = familyFields[family];
    const mask = prefix.length === widthOf(family) ? undefined : prefixMask(family, prefix.length);
    return [[whereField(source, prefix.bits, mask)]];
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

export function renderNodePort(
  service: ServiceResource,
  port: number,
  choices: Choices,
  context: RenderContext,
): readonly Flow[] {
  const match = [
    whereRegister("domain", context.number("domain", service.domain)),
    whereRegister("nodeAddress", 1),
    whereFamily(service.family),
    ...wherePort(service, port),
  ];
  return renderOpen(priorities.port, match, choices);
}

/** What no service takes of an address of the cluster goes nowhere. */
export function renderClusterAddress(target: Target, context: RenderContext): readonly Flow[] {
  const flow = (client: KnownMatch, outcome: Outcome): Flow =>
    buildFlow({
      table: "Service",
      priority: priorities.address,
      match: [...whereVirtual(target, context), client],
      ...outcome,
    });
  return [flow(inside, renderReject("noService")), flow(outside, renderRefusal("noService"))];
}

export function renderBackend(
  { address, port, protocol }: Target,
  number: number,
): readonly Flow[] {
  const cookie = encodeCookie({ feature: "backend", number });
  const match = [whereRegister("backend", number), whereFamily(address.family)];
  return [
    buildFlow({
      table: "Backend",
      priority: 100,
      cookie,
      match,
      actions: [
        load("balanced", 1),
        load(familyFields[address.family].argument, address.bits),
        load("service", serviceOf(protocol) | port),
      ],
      next: "Destination",
    }),
    renderCommitTo({ address, port, cookie, match }),
  ];
}
