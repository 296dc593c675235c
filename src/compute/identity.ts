// Endpoints that no policy can tell apart share an identity.
import type { Endpoint } from "../model/endpoint.ts";
import { portAttribute } from "./compile.ts";
import type { Relevant } from "./relevance.ts";
import { byCodeUnits, word } from "./words.ts";

/** A policy-relevant named port. */
interface IdentityPort {
  /** Protocol and name, e.g. `TCP/http`. */
  readonly attribute: string;
  readonly port: number;
}

/** What an identity is: a pure function of the endpoint and of what is relevant in its zone. */
export interface IdentityDefinition {
  /**
   * Canonical text of the other properties, e.g. `default shop app=web,tier=front :TCP/http=8080`. Text rather than a
   * hash: nobody can choose labels so that two identities collide, and every controller arrives at the same.
   */
  readonly id: string;
  readonly domain: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly IdentityPort[];
}

function relevantKeys(endpoint: Endpoint, relevance: Relevant): readonly string[] {
  const keys = Object.keys(endpoint.labels).filter((key) => relevance.hasLabel(endpoint.zone, key));
  return keys.length > 1 ? keys.toSorted(byCodeUnits) : keys;
}

function relevantPorts(endpoint: Endpoint, relevance: Relevant): readonly IdentityPort[] {
  if (endpoint.namedPorts.length === 0) return noPorts;
  const byText = new Map<string, IdentityPort>();
  for (const { protocol, name, port } of endpoint.namedPorts) {
    const attribute = portAttribute(protocol, name);
    if (!relevance.hasPort(endpoint.zone, attribute)) continue;
    byText.set(`${word(attribute)}=${port}`, { attribute, port });
  }
  return [...byText].toSorted(([a], [b]) => byCodeUnits(a, b)).map(([, port]) => port);
}

const noPorts: readonly IdentityPort[] = [];

/** The id of the endpoint's identity. */
export function identityIdOf(endpoint: Endpoint, relevance: Relevant): string {
  let id = `${word(endpoint.domain)} ${word(endpoint.zone)}`;
  let separator = " ";
  for (const key of relevantKeys(endpoint, relevance)) {
    id += `${separator}${word(key)}=${word(endpoint.labels[key] ?? "")}`;
    separator = ",";
  }
  for (const { attribute, port } of relevantPorts(endpoint, relevance)) {
    id += ` :${word(attribute)}=${port}`;
  }
  return id;
}

/** `id` as `identityIdOf` gives it. */
export function defineIdentity(
  id: string,
  endpoint: Endpoint,
  relevance: Relevant,
): IdentityDefinition {
  const { domain, zone } = endpoint;
  const keys = relevantKeys(endpoint, relevance);
  return {
    id,
    domain,
    zone,
    // fromEntries also takes a key such as `__proto__` for what it is.
    labels: Object.fromEntries(keys.map((key) => [key, endpoint.labels[key] ?? ""])),
    ports: relevantPorts(endpoint, relevance),
  };
}
