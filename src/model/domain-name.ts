// Domain names as rules name them: `example.com` stands for itself, `*.example.com` for every name with at least one label more
// (network-policy-api v1alpha2, DomainName).

/** Labels of at most 63 octets, 253 in all: RFC 1035 section 2.3.4. Underscores occur in practice (RFC 2181 section 11). */
const label = "[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?";
const canonical = new RegExp(`^${label}(\\.${label})*$`);
const longestName = 253;

/** A name in lower case without the final dot, as names are compared; `undefined` for text that is none. */
export function canonicalDomainName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, "");
  return name.length <= longestName && canonical.test(name) ? name : undefined;
}

/** As `canonicalDomainName`, for what a rule names: a name, or `*.` and a name. */
export function canonicalNamePattern(text: string): string | undefined {
  if (!text.startsWith("*.")) return canonicalDomainName(text);
  const name = canonicalDomainName(text.slice(2));
  return name === undefined ? undefined : `*.${name}`;
}

/** Both in canonical form. */
export function matchesDomainName(pattern: string, name: string): boolean {
  return pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) : name === pattern;
}
