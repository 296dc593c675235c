// What the address controller needs of the objects that it watches.
import type { OwnerReference } from "../apimachinery/kind.ts";
import type { IpamWebhookConfig } from "../client/ipam-webhook.ts";
import { type DomainLedgerStatus, DomainLedger } from "../ipam/domain-ledger.ts";
import { type LedgerStatus, NetworkLedger } from "../ipam/network-ledger.ts";
import type { NetworkCidrs } from "../ipam/space-network.ts";
import { managedByIsobar, managedByLabel } from "../kinds/network.ts";
import { isOfPod } from "../kubernetes/endpoint.ts";
import { fieldAt, fieldOf, isObject, listOf, stringOf } from "../kubernetes/json.ts";
import type { Versioned } from "./ledger-writer.ts";

/** What of an Endpoint object is needed to keep or remove it. */
export interface KnownEndpoint {
  readonly uid: string;
  /** metadata.resourceVersion: what is known is not replaced by what was before it. */
  readonly version: string;
  /** Whether it is for a pod. Others are made by users, and only their addresses are of interest here. */
  readonly ofPod: boolean;
  /** The pod that it was made for. */
  readonly podUid: string | undefined;
  readonly node: string;
  readonly domain: string;
  /** `namespace/name`; `undefined` where an external IPAM gives the addresses. */
  readonly network: string | undefined;
  readonly addresses: readonly string[];
  /** Set when it is to outlive its pod. */
  readonly keep: { readonly seconds: number | undefined } | undefined;
  /** When it has to go, in milliseconds since 1970, if it waits for the next pod of its name. */
  readonly keptUntilMs: number | undefined;
  readonly kept: boolean;
  /** Whether it is being deleted, and waits for its finalizers. */
  readonly deleting: boolean;
  readonly finalizers: readonly string[];
}

export interface KnownNetwork extends NetworkCidrs, Versioned<NetworkLedger> {
  /** `namespace/name` */
  readonly id: string;
  readonly uid: string;
  /** Whether the controller made it, and may take it away. */
  readonly managed: boolean;
  readonly createdMs: number;
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

function strings(value: unknown): string[] {
  return (listOf(value) ?? []).map(String);
}

function timeOf(value: unknown): number | undefined {
  const ms = Date.parse(stringOf(value) ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

/** The object that made this one and looks after it. */
export function ownerOf(object: unknown): OwnerReference | undefined {
  const owners = listOf(fieldAt(object, "metadata", "ownerReferences")) ?? [];
  const owner = owners.find((each) => fieldOf(each, "controller") === true);
  const { apiVersion, kind, name, uid } = isObject(owner) ? owner : {};
  const texts = [apiVersion, kind, name, uid].every((each) => typeof each === "string");
  if (!texts) return undefined;
  return {
    apiVersion: String(apiVersion),
    kind: String(kind),
    name: String(name),
    uid: String(uid),
  };
}

export function podUidOf(endpoint: unknown): string | undefined {
  return stringOf(fieldAt(endpoint, "spec", "attachment", "uid"));
}

export function knownEndpoint(key: string, object: unknown): KnownEndpoint {
  const network = stringOf(fieldAt(object, "spec", "network"));
  const keep = fieldAt(object, "spec", "keep");
  const seconds = fieldOf(keep, "seconds");
  return {
    uid: stringOf(fieldAt(object, "metadata", "uid")) ?? "",
    version: stringOf(fieldAt(object, "metadata", "resourceVersion")) ?? "0",
    ofPod: isOfPod(object),
    podUid: podUidOf(object),
    node: stringOf(fieldAt(object, "spec", "node")) ?? "",
    domain: stringOf(fieldAt(object, "spec", "domain")) ?? "",
    network: network === undefined ? undefined : `${namespaceOf(key)}/${network}`,
    addresses: strings(fieldAt(object, "spec", "addresses")),
    keep:
      keep === undefined
        ? undefined
        : { seconds: typeof seconds === "number" ? seconds : undefined },
    kept: fieldAt(object, "status", "phase") === "Kept",
    keptUntilMs: timeOf(fieldAt(object, "status", "keptUntil")),
    deleting: fieldAt(object, "metadata", "deletionTimestamp") !== undefined,
    finalizers: strings(fieldAt(object, "metadata", "finalizers")),
  };
}

export function knownNetwork(id: string, object: unknown): KnownNetwork {
  return {
    id,
    uid: stringOf(fieldAt(object, "metadata", "uid")) ?? "",
    version: stringOf(fieldAt(object, "metadata", "resourceVersion")) ?? "0",
    domain: stringOf(fieldAt(object, "spec", "domain")) ?? "",
    zone: namespaceOf(id),
    cidrs: strings(fieldAt(object, "spec", "cidrs")),
    managed: fieldAt(object, "metadata", "labels", managedByLabel) === managedByIsobar,
    createdMs: timeOf(fieldAt(object, "metadata", "creationTimestamp")) ?? 0,
    ledger: NetworkLedger.parse(ledgerStatusOf(object)),
  };
}

function ledgerStatusOf(object: unknown): LedgerStatus {
  const status = fieldOf(object, "status");
  return {
    allocated: stringOf(fieldOf(status, "allocated")),
    resting: (listOf(fieldOf(status, "resting")) ?? []).map((each) => ({
      offsets: stringOf(fieldOf(each, "offsets")) ?? "",
      until: stringOf(fieldOf(each, "until")) ?? "",
    })),
    emptySince: stringOf(fieldOf(status, "emptySince")),
  };
}

const defaultTimeoutSeconds = 5;

/** The external IPAM that the domain's addresses come from. */
export function webhookOf(domain: unknown): IpamWebhookConfig | undefined {
  const webhook = fieldAt(domain, "spec", "ipam", "webhook");
  const url = stringOf(fieldOf(webhook, "url"));
  if (url === undefined) return undefined;
  const timeoutMs = Number(fieldOf(webhook, "timeoutSeconds") ?? defaultTimeoutSeconds) * 1000;
  return { url, timeoutMs, caBundle: stringOf(fieldOf(webhook, "caBundle")) };
}

export function knownDomain(object: unknown): Versioned<DomainLedger> {
  const status = fieldOf(object, "status");
  const ledger: DomainLedgerStatus = {
    claims: (listOf(fieldOf(status, "claims")) ?? []).map((each) => ({
      cidrs: strings(fieldOf(each, "cidrs")),
      until: stringOf(fieldOf(each, "until")) ?? "",
    })),
    lastCut: strings(fieldOf(status, "lastCut")),
  };
  return {
    version: stringOf(fieldAt(object, "metadata", "resourceVersion")) ?? "0",
    ledger: DomainLedger.parse(ledger),
  };
}
