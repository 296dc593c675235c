import { canonicalDomainName } from "../model/domain-name.ts";
import type { Domain, DomainDns } from "../model/endpoint.ts";
import { fieldAt, fieldOf, listOf, stringOf } from "./json.ts";

/** Highest VXLAN network identifier (RFC 7348 section 5). */
const highestVni = 2 ** 24 - 1;

/** isobar.io Domain. `undefined` without a name or a VNI; then its endpoints are closed. */
export function translateDomain(object: unknown): Domain | undefined {
  const name = stringOf(fieldAt(object, "metadata", "name"));
  const vni = fieldAt(object, "spec", "vni");
  if (name === undefined || typeof vni !== "number") return undefined;
  if (!Number.isInteger(vni) || vni < 1 || vni > highestVni) return undefined;
  const pools = listOf(fieldAt(object, "spec", "pools")) ?? [];
  const unmasqueraded = translateMasquerade(fieldAt(object, "spec", "masquerade"));
  const dns = translateDns(fieldAt(object, "spec", "dns"));
  const serviceCidrs = listOf(fieldAt(object, "spec", "serviceCidrs")) ?? [];
  return {
    name,
    vni,
    pools: pools.filter((pool) => typeof pool === "string"),
    ...(unmasqueraded.length > 0 && { unmasqueraded }),
    ...(serviceCidrs.length > 0 && {
      serviceCidrs: serviceCidrs.filter((cidr) => typeof cidr === "string"),
    }),
    ...(dns && { dns }),
  };
}

/** Absent is masquerading everywhere outside the pools. */
function translateMasquerade(masquerade: unknown): readonly string[] {
  if (fieldOf(masquerade, "enabled") === false) return ["0.0.0.0/0", "::/0"];
  const except = listOf(fieldOf(masquerade, "except")) ?? [];
  return except.filter((cidr) => typeof cidr === "string");
}

const defaultZone = "cluster.local";
/** As CoreDNS has it. */
const defaultTtlSeconds = 5;

function textsOf(value: unknown): readonly string[] {
  return (listOf(value) ?? []).filter((each) => typeof each === "string");
}

/** Absent without a Service, or where the zone is no name: then nodes do not answer. */
function translateDns(dns: unknown): DomainDns | undefined {
  const service = stringOf(fieldOf(dns, "service"));
  const zone = canonicalDomainName(stringOf(fieldOf(dns, "zone")) ?? defaultZone);
  if (service === undefined || zone === undefined) return undefined;
  const ttl = fieldOf(dns, "ttlSeconds");
  return {
    service,
    zone,
    ttlSeconds: typeof ttl === "number" ? ttl : defaultTtlSeconds,
    upstreams: textsOf(fieldOf(dns, "upstreams")),
    forwarders: (listOf(fieldOf(dns, "forwarders")) ?? []).flatMap((each) => {
      const forwarded = canonicalDomainName(stringOf(fieldOf(each, "zone")) ?? "");
      const servers = textsOf(fieldOf(each, "servers"));
      return forwarded === undefined ? [] : [{ zone: forwarded, servers }];
    }),
  };
}
