// The cluster addresses of a Service, their families, and the policy that says how many: fields that hang together. Rules and
// words are those of k8s.io/kubernetes/pkg/apis/core/validation and pkg/registry/core/service/storage.
import { duplicate, invalid, notSupported } from "../apimachinery/field-error.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import { equalJson } from "../apimachinery/json.ts";
import { tryParseAddress } from "../net/address.ts";
import { validateAddress } from "./address.ts";
import { type ServiceSpec, hasClusterIp, isHeadless, sameClusterIps } from "./service-type.ts";

const ipFamilies = ["IPv4", "IPv6"] as const;
export type IpFamily = (typeof ipFamilies)[number];
const familyPolicies = ["PreferDualStack", "RequireDualStack", "SingleStack"];

const policyPath = "spec.ipFamilyPolicy";
const familiesPath = "spec.ipFamilies";
const addressesPath = "spec.clusterIPs";

/** Clients that know only the singular field leave the list out; it is filled in when the object is stored. */
function clusterIpsOf({ clusterIP = "", clusterIPs = [] }: ServiceSpec): readonly string[] {
  return clusterIPs.length === 0 && clusterIP !== "" ? [clusterIP] : clusterIPs;
}

export function familyOf(address: string): IpFamily | undefined {
  const family = tryParseAddress(address)?.family;
  if (family === undefined) return undefined;
  return family === 4 ? "IPv4" : "IPv6";
}

function otherFamily(family: string | undefined): IpFamily {
  return family === "IPv4" ? "IPv6" : "IPv4";
}

function validateFamilies({ ipFamilies: named = [], ipFamilyPolicy }: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, family] of named.entries()) {
    const path = `${familiesPath}[${index}]`;
    if (!ipFamilies.some((known) => known === family)) {
      errors.push(notSupported(path, family, ipFamilies));
    }
    if (named.indexOf(family) < index) errors.push(duplicate(path, family));
  }
  if (ipFamilyPolicy !== undefined && !familyPolicies.includes(ipFamilyPolicy)) {
    errors.push(notSupported(policyPath, ipFamilyPolicy, familyPolicies));
  }
  return errors;
}

function validateAddresses(spec: ServiceSpec): FieldError[] {
  const clusterIPs = clusterIpsOf(spec);
  const errors: FieldError[] = [];
  for (const [index, address] of clusterIPs.entries()) {
    if (address !== "None" || index > 0) {
      errors.push(...validateAddress(address, `${addressesPath}[${index}]`));
    } else if (clusterIPs.length > 1) {
      errors.push(invalid(addressesPath, clusterIPs, "'None' must be the first and only value"));
    }
  }
  if (clusterIPs.length > 2) {
    errors.push(invalid(addressesPath, clusterIPs, "may only hold up to 2 values"));
  }
  if (errors.length > 0) return errors;
  const families = clusterIPs.map(familyOf);
  if (families.length === 2 && families[0] === families[1]) {
    const rule = "may specify no more than one IP for each IP family";
    return [invalid(addressesPath, clusterIPs, rule)];
  }
  if (isHeadless(spec)) return [];
  return (spec.ipFamilies ?? []).flatMap((expected, index) => {
    const [address, found] = [clusterIPs[index], families[index]];
    if (found === undefined || found === expected) return [];
    const rule = `expected an ${expected} value as indicated by \`ipFamilies[${index}]\``;
    return [invalid(`${addressesPath}[${index}]`, address, rule)];
  });
}

/** Of a Service that is no ExternalName. */
export function validateClusterIps(spec: ServiceSpec): FieldError[] {
  const { clusterIP = "", clusterIPs = [] } = spec;
  const errors: FieldError[] = [];
  if (clusterIP === "" && clusterIPs.length > 0) {
    const rule = "must be empty when `clusterIP` is not specified";
    errors.push(invalid(addressesPath, clusterIPs, rule));
  } else if (clusterIPs.length > 0 && clusterIPs[0] !== clusterIP) {
    errors.push(invalid(addressesPath, clusterIPs, "first value must match `clusterIP`"));
  }
  return [...errors, ...validateFamilies(spec), ...validateAddresses(spec)];
}

/** The first of a list that may grow or shrink behind it, once set, stays. */
function validateKept(
  path: string,
  spec: { readonly before: readonly string[]; readonly after: readonly string[] },
): FieldError[] {
  const { before, after } = spec;
  const errors: FieldError[] = [];
  for (const [index, value] of before.entries()) {
    const next = after[index];
    const isReleased = next === undefined && index > 0;
    if (isReleased || next === value) continue;
    const rule = next === undefined ? "primary may not be unset" : "may not change once set";
    errors.push(invalid(`${path}[${index}]`, after, rule));
  }
  return errors;
}

export function validateAddressUpdate(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  if (!hasClusterIp(spec) || !hasClusterIp(old)) return [];
  const errors = validateKept(addressesPath, {
    before: old.clusterIPs ?? [],
    after: clusterIpsOf(spec),
  });
  // What is a name only may change its families.
  if (isHeadless(spec) || isHeadless(old)) return errors;
  const before = old.ipFamilies ?? [];
  return [...errors, ...validateKept(familiesPath, { before, after: spec.ipFamilies ?? [] })];
}

/** A Service that took what there was is not changed by what there is now. */
function isUnchangedPreference(spec: ServiceSpec, old: ServiceSpec): boolean {
  return (
    spec.type === old.type &&
    spec.ipFamilyPolicy === "PreferDualStack" &&
    old.ipFamilyPolicy === "PreferDualStack" &&
    sameClusterIps(spec, old) &&
    equalJson(spec.ipFamilies ?? [], old.ipFamilies ?? [])
  );
}

function defaultPolicy(spec: ServiceSpec, old: ServiceSpec | undefined): string {
  const isNameOnly = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  return old?.ipFamilyPolicy ?? (isNameOnly ? "RequireDualStack" : "SingleStack");
}

/** Takes the second of each where the policy now asks for one; says so where it was taken against the policy. */
function reduce(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const [oldIps, ips] = [old.clusterIPs ?? [], spec.clusterIPs ?? []];
  const [oldFamilies, families] = [old.ipFamilies ?? [], spec.ipFamilies ?? []];
  if (spec.ipFamilyPolicy === "SingleStack") {
    if (equalJson(oldIps, ips) && ips.length > 1) spec.clusterIPs = ips.slice(0, 1);
    if (equalJson(oldFamilies, families) && families.length > 1) {
      spec.ipFamilies = families.slice(0, 1);
    }
    return errors;
  }
  if (ips.length > 0 && ips.length < oldIps.length) {
    const rule = "must be 'SingleStack' to release the secondary cluster IP";
    errors.push(invalid(policyPath, spec.ipFamilyPolicy, rule));
  }
  if (families.length > 0 && families.length < oldFamilies.length) {
    const rule = "must be 'SingleStack' to release the secondary IP family";
    errors.push(invalid(policyPath, spec.ipFamilyPolicy, rule));
  }
  return errors;
}

function checkSingle({ ipFamilyPolicy, clusterIPs = [], ipFamilies: named = [] }: ServiceSpec) {
  if (ipFamilyPolicy !== "SingleStack") return [];
  const rule = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
  return [
    ...(clusterIPs.length === 2 ? [`${rule} cluster IPs are specified`] : []),
    ...(named.length === 2 ? [`${rule} IP families are specified`] : []),
  ].map((detail) => invalid(policyPath, ipFamilyPolicy, detail));
}

/** Families of the addresses that were asked for. */
function inferFamilies(spec: ServiceSpec, configured: readonly IpFamily[]): FieldError[] {
  const errors: FieldError[] = [];
  const named = [...(spec.ipFamilies ?? [])];
  for (const [index, address] of (spec.clusterIPs ?? []).entries()) {
    const family = familyOf(address);
    if (family === undefined || index < named.length) continue;
    if (configured.includes(family)) named.push(family);
    else {
      const rule = `${family} is not configured on this cluster`;
      errors.push(invalid(`${addressesPath}[${index}]`, spec.clusterIPs, rule));
    }
  }
  if (named.length > 0) spec.ipFamilies = named;
  return errors;
}

function checkConfigured(spec: ServiceSpec, configured: readonly IpFamily[]): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.ipFamilyPolicy === "RequireDualStack" && configured.length < 2) {
    const rule = "this cluster is not configured for dual-stack services";
    errors.push(invalid(policyPath, spec.ipFamilyPolicy, rule));
  }
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    if (configured.some((known) => known === family)) continue;
    errors.push(invalid(`${familiesPath}[${index}]`, family, "not configured on this cluster"));
  }
  return errors;
}

/**
 * Fills in the families and their policy, as far as its client has not. Changes `spec`.
 * @param configured the families that the cluster has addresses of, its first one first
 */
export function assignFamilies(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  configured: readonly IpFamily[],
): FieldError[] {
  if (!hasClusterIp(spec)) return [];
  if (old !== undefined && isUnchangedPreference(spec, old)) return [];
  spec.ipFamilyPolicy ??= defaultPolicy(spec, old);
  const unsound = validateClusterIps(spec);
  if (unsound.length > 0) return unsound;
  const errors = old === undefined ? [] : reduce(spec, old);
  errors.push(...checkSingle(spec), ...inferFamilies(spec, configured));
  if (errors.length > 0) return errors;
  const isNameOnly = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  if (!isNameOnly) {
    const missing = checkConfigured(spec, configured);
    if (missing.length > 0) return missing;
  }
  const families = spec.ipFamilies ?? [];
  const [first] = families.length > 0 ? families : configured;
  if (first === undefined) return [];
  const wantsTwo = spec.ipFamilyPolicy !== "SingleStack" && (isNameOnly || configured.length === 2);
  spec.ipFamilies =
    families.length === 2 || !wantsTwo ? families.slice(0, 2) : [first, otherFamily(first)];
  if (spec.ipFamilies.length === 0) spec.ipFamilies = [first];
  return [];
}
