// What a Service of type LoadBalancer wants of the pools, read from the object.
import type { AddressWish } from "../ipam/virtual-addresses.ts";
import type { LoadBalancer } from "../kinds/load-balancer.ts";
import { fieldAt, fieldOf, labelsOf, listOf, stringOf } from "../kubernetes/json.ts";
import type { Labels } from "../model/endpoint.ts";
import { type Address, type Family, formatAddress, tryParseAddress } from "../net/address.ts";

const wishAnnotation = {
  addresses: "isobar.io/load-balancer-addresses",
  pool: "isobar.io/load-balancer-pool",
  sharingKey: "isobar.io/sharing-key",
} as const;

/** Services of this class are Isobar's, as those without a class are. */
export const ownClass = "isobar.io/load-balancer";

export type HolderKind = "Service" | "LoadBalancer";

/** What the controller knows of an object that may have addresses. */
export interface KnownHolder {
  readonly kind: HolderKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  readonly loadBalancerClass: string | undefined;
  /** `undefined` where it wants none. */
  readonly wish: AddressWish | undefined;
  /** Whether one address is not enough where two families are wanted. */
  readonly needsAll: boolean;
  /** What of its request cannot be understood. */
  readonly problems: readonly string[];
  /** The addresses that it shows, whoever has written them. */
  readonly shown: readonly string[];
  /** Whether something is said on it of its addresses. */
  readonly isReported: boolean;
}

/** On a holder: whether it has the addresses that it wants, and why not. */
export const assignedCondition = "isobar.io/AddressAssigned";

export function holderId(kind: HolderKind, key: string): string {
  return `${kind} ${key}`;
}

/** The kind and the place of a holder's id. */
export function placeOfHolder(id: string): {
  readonly kind: HolderKind;
  readonly namespace: string;
  readonly name: string;
} {
  const [kind = "", key = ""] = id.split(" ");
  const slash = key.indexOf("/");
  return {
    kind: kind === "LoadBalancer" ? kind : "Service",
    namespace: key.slice(0, slash),
    name: key.slice(slash + 1),
  };
}

interface Requested {
  readonly addresses: readonly Address[];
  readonly problems: readonly string[];
}

/** At most one of each family. */
function parseRequested(field: string, texts: readonly string[]): Requested {
  const addresses: Address[] = [];
  const problems: string[] = [];
  for (const text of texts) {
    const address = tryParseAddress(text.trim());
    const other = addresses.find(({ family }) => family === address?.family);
    if (address === undefined) problems.push(`${field}: expected an address, got "${text}"`);
    else if (other !== undefined) {
      problems.push(`${field}: expected one address of each family, got "${texts.join(",")}"`);
    } else addresses.push(address);
  }
  return { addresses, problems };
}

function familiesOf(service: unknown): readonly Family[] {
  const named = listOf(fieldAt(service, "spec", "ipFamilies")) ?? [];
  const families = named.flatMap((each): Family[] =>
    each === "IPv4" ? [4] : each === "IPv6" ? [6] : [],
  );
  if (families.length > 0) return families;
  const clusterIps = listOf(fieldAt(service, "spec", "clusterIPs")) ?? [];
  const own = clusterIps.map((each) => tryParseAddress(String(each))?.family);
  const known = own.filter((family) => family !== undefined);
  return known.length > 0 ? known : [4];
}

function requestOf(service: unknown): Requested {
  const annotation = annotationOf(service, wishAnnotation.addresses);
  const field = stringOf(fieldAt(service, "spec", "loadBalancerIP")) ?? "";
  const ofField = parseRequested("spec.loadBalancerIP", field === "" ? [] : [field]);
  if (annotation === undefined) return ofField;
  const { addresses, problems } = parseRequested(wishAnnotation.addresses, annotation.split(","));
  const texts = addresses.map(formatAddress);
  const odd = ofField.addresses.filter((address) => !texts.includes(formatAddress(address)));
  const disagreement = `spec.loadBalancerIP is ${field}, which is not in annotation ${wishAnnotation.addresses}`;
  return { addresses, problems: odd.length > 0 ? [...problems, disagreement] : problems };
}

function annotationOf(object: unknown, name: string): string | undefined {
  return stringOf(fieldAt(object, "metadata", "annotations", name));
}

function portsOf(service: unknown): readonly string[] {
  const ports = listOf(fieldAt(service, "spec", "ports")) ?? [];
  return ports.map((port) => {
    return `${stringOf(fieldOf(port, "protocol")) ?? "TCP"}/${Number(fieldOf(port, "port"))}`;
  });
}

/** Equal for equal selectors. */
function selectorText(service: unknown): string {
  const selector = labelsOf(fieldAt(service, "spec", "selector")) ?? {};
  const pairs = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  return pairs.toSorted().join(",");
}

/** The addresses that a Service shows. */
function ingressOf(service: unknown): readonly string[] {
  const ingress = listOf(fieldAt(service, "status", "loadBalancer", "ingress")) ?? [];
  return ingress.map((each) => fieldOf(each, "ip")).filter((ip) => typeof ip === "string");
}

function familiesOfBalancer({ families, addresses = [] }: LoadBalancer["spec"]): readonly Family[] {
  if (families !== undefined) return families.map((each) => (each === "IPv6" ? 6 : 4));
  const asked = addresses.map((text) => tryParseAddress(text)?.family);
  const known = asked.filter((family) => family !== undefined);
  return known.length > 0 ? known : [4];
}

/** A LoadBalancer, or what is kept of it. */
export function knownLoadBalancer({
  metadata,
  spec,
  status = {},
}: StoredService & Pick<LoadBalancer, "spec" | "status">): KnownHolder {
  const { namespace = "", name, uid, labels = {} } = metadata;
  const { addresses, problems } = parseRequested("spec.addresses", spec.addresses ?? []);
  const shown = status.addresses ?? [];
  const families = familiesOfBalancer(spec);
  return {
    kind: "LoadBalancer",
    namespace,
    name,
    uid,
    labels,
    loadBalancerClass: undefined,
    wish: {
      holder: {
        id: holderId("LoadBalancer", `${namespace}/${name}`),
        namespace,
        uid,
        ports: spec.ports.map(({ protocol = "TCP", port }) => `${protocol}/${port}`),
        localTo: undefined,
      },
      families,
      requested: addresses,
      pool: spec.pool,
      sharingKey: spec.sharingKey,
      shown,
    },
    needsAll: true,
    problems,
    shown,
    isReported: true,
  };
}

function isReported(object: unknown): boolean {
  const conditions = listOf(fieldAt(object, "status", "conditions")) ?? [];
  return conditions.some((each) => fieldOf(each, "type") === assignedCondition);
}

/** A Service, or what is kept of it. */
export interface StoredService {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly labels?: Labels;
  };
}

export function knownService(service: StoredService): KnownHolder {
  const { namespace = "", name, uid, labels } = service.metadata;
  const { addresses, problems } = requestOf(service);
  const isBalanced = fieldAt(service, "spec", "type") === "LoadBalancer";
  const isLocal = fieldAt(service, "spec", "externalTrafficPolicy") === "Local";
  const shown = ingressOf(service);
  const loadBalancerClass = stringOf(fieldAt(service, "spec", "loadBalancerClass"));
  const wish: AddressWish = {
    holder: {
      id: holderId("Service", `${namespace}/${name}`),
      namespace,
      uid,
      ports: portsOf(service),
      localTo: isLocal ? selectorText(service) : undefined,
    },
    families: familiesOf(service),
    requested: addresses,
    pool: annotationOf(service, wishAnnotation.pool),
    sharingKey: annotationOf(service, wishAnnotation.sharingKey),
    shown,
  };
  return {
    kind: "Service",
    namespace,
    name,
    uid,
    labels: labels ?? {},
    loadBalancerClass,
    wish: isBalanced ? wish : undefined,
    needsAll: fieldAt(service, "spec", "ipFamilyPolicy") === "RequireDualStack",
    problems,
    shown,
    isReported: isReported(service),
  };
}
