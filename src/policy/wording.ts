// Decisions and near misses in words for the people who write policies.
import type { Endpoint } from "../model/endpoint.ts";
import type { Direction, EndpointSelector, SelectorRequirement, Service } from "../model/policy.ts";
import { formatSelector } from "../model/selector.ts";
import type { Missing, NearMiss } from "./near-miss.ts";
import type { Decision, RuleReference } from "./verdict.ts";

/** As users know it: a NetworkPolicy by namespace and name, others with their kind and name. */
function formatPolicyId(id: string): string {
  return id.startsWith("NetworkPolicy/") ? id.slice("NetworkPolicy/".length) : id.replace("/", " ");
}

/** Rules are counted from 1 and may have a name. */
function formatRule({ policy, rule }: RuleReference, name: string | undefined): string {
  const named = name === undefined ? "" : ` (${name})`;
  return `${formatPolicyId(policy)} rule ${rule + 1}${named}`;
}

/** `a`, `a and b`, `a, b and c`. */
function join(parts: readonly string[], word: "and" | "or"): string {
  const last = parts.at(-1) ?? "";
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(", ")} ${word} ${last}`;
}

/** How many policies are named before the rest is only counted. */
const namedPolicyLimit = 4;

function namePolicies(ids: readonly string[]): string {
  const names = ids.map(formatPolicyId);
  if (names.length <= namedPolicyLimit) return join(names, "and");
  const shown = names.slice(0, namedPolicyLimit - 1);
  return join([...shown, `${names.length - shown.length} more`], "and");
}

interface DecisionContext {
  readonly direction: Direction;
  readonly subject: string | undefined;
  /** How many policies select the subject. */
  readonly policies: number;
  /** Of the rule that decided, where it has one. */
  readonly ruleName: string | undefined;
}

/** e.g. `ingress to shop/db is denied: isolated by shop/closed, and no rule allows this`. */
export function describeDecision(decision: Decision, context: DecisionContext): string {
  const { direction, subject, policies } = context;
  const where = direction === "egress" ? "egress from" : "ingress to";
  const told = (reason: string) =>
    `${where} ${subject} is ${decision.verdict === "allow" ? "allowed" : "denied"}${reason}`;
  switch (decision.kind) {
    case "rule":
      return told(` by ${formatRule(decision, context.ruleName)}`);
    case "default":
      return told(
        policies === 0
          ? ": no policy selects it"
          : `: no policy that selects it decides about ${direction}`,
      );
    case "isolated": {
      return told(`: isolated by ${namePolicies(decision.policies)}, and no rule allows this`);
    }
    case "own-node":
      return told(": its own node always reaches it");
    case "itself":
      return told(": it always reaches itself");
    case "outside":
      return `${direction} is not enforced: the ${direction === "egress" ? "source" : "destination"} is no endpoint`;
    case "unknown":
      return `${direction} is denied: ${decision.reason}`;
  }
}

function describeRequirement({ key, operator, values }: SelectorRequirement): string {
  const labels = values.map((value) => `${key}=${value}`);
  switch (operator) {
    case "In":
      return `had label ${join(labels, "or")}`;
    case "NotIn":
      return `did not have label ${join(labels, "or")}`;
    case "Exists":
      return `had a label ${key}`;
    case "DoesNotExist":
      return `had no label ${key}`;
  }
}

function describeSelector({ zones, endpoints }: EndpointSelector): string {
  const labels = formatSelector(endpoints);
  const pod = labels === "" ? "a pod" : `a pod with ${labels}`;
  if (zones.kind === "name") return `${pod} in namespace ${zones.name}`;
  const zoneLabels = formatSelector(zones.selector);
  return zoneLabels === "" ? `${pod} in any namespace` : `${pod} in a namespace with ${zoneLabels}`;
}

/** e.g. `tcp/80`, `udp/5000-5100`, `any tcp port`, `tcp/8080 (http)`. */
function formatService(service: Service, destination?: Endpoint): string {
  if (service.kind === "invalid") return "a port that is not understood";
  const protocol = service.protocol.toLowerCase();
  switch (service.kind) {
    case "protocol":
      return `any ${protocol} port`;
    case "ports": {
      const { from, to } = service;
      return from === to ? `${protocol}/${from}` : `${protocol}/${from}-${to}`;
    }
    case "named": {
      const port = destination?.namedPorts.find(
        (each) => each.name === service.name && each.protocol === service.protocol,
      )?.port;
      return port === undefined
        ? `a ${protocol} port that it names ${service.name}, and it names none so`
        : `${protocol}/${port} (${service.name})`;
    }
  }
}

function describeMissing(missing: Missing, destination: Endpoint | undefined): string {
  switch (missing.kind) {
    case "label":
      return `the ${missing.end} ${describeRequirement(missing.requirement)}`;
    case "zone-label":
      return `namespace ${missing.zone} ${describeRequirement(missing.requirement)}`;
    case "zone":
      return `the ${missing.end} were in namespace ${missing.zone}`;
    case "endpoint":
      return `the ${missing.end} were ${describeSelector(missing.selector)}`;
    case "network":
      return missing.except === undefined
        ? `the ${missing.end} were in ${missing.cidr}`
        : `the ${missing.end} were not in ${missing.except}, which ${missing.cidr} excepts`;
    case "node": {
      const labels = formatSelector(missing.selector);
      return `the ${missing.end} were an address of ${labels === "" ? "a node" : `a node with ${labels}`}`;
    }
    case "node-label":
      return `node ${missing.node} ${describeRequirement(missing.requirement)}`;
    case "domain-name":
      return `the ${missing.end} were an address that the pod has looked up as ${join(missing.names, "or")}`;
    case "service":
      return `the destination port were ${join(
        missing.services.map((each) => formatService(each, destination)),
        "or",
      )}`;
    case "invalid":
      return `it could be understood (${missing.reason})`;
    case "never":
      return "it had a peer and a port to match";
  }
}

/** e.g. `shop/allow-web rule 2 matches if the source had label app=web`. */
export function describeNearMiss(miss: NearMiss, destination: Endpoint | undefined): string {
  const conditions = miss.missing.map((each) => describeMissing(each, destination));
  return `${formatRule(miss, miss.ruleName)} matches if ${join(conditions, "and")}`;
}
