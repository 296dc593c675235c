// isobar.io/v1alpha1 Domain: a routing context with its address pools. Addresses of two domains may overlap.
import { Type } from "typebox";
import { duplicate, forbidden, invalid, invalidEach } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkInRange, checkName } from "../apimachinery/names.ts";
import { formatPrefix, prefixContains, widthOf, type Prefix } from "../net/address.ts";
import { tryParseSocketAddress } from "../net/socket-address.ts";
import { tryParsePrefix, validateCidr } from "./address.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { cidrText, immutable } from "./crd-constraints.ts";
import { conditionsSchema } from "./conditions-schema.ts";
import { customSchema, isobarGroup, type CustomObject } from "./custom-kind.ts";

/** VXLAN network identifiers have 24 bits (RFC 7348 section 5). */
const maximumVni = 2 ** 24 - 1;

const poolsStay = {
  rule: "oldSelf.all(pool, pool in self)",
  message: "pools cannot be removed",
};

const servers = (description: string) =>
  Type.Array(Type.String(), { minItems: 1, maxItems: 16, description });

const dnsSchema = Type.Object(
  {
    service: Type.String({
      description:
        "The Service at whose cluster addresses nodes answer, as NAMESPACE/NAME: usually kube-system/kube-dns. To policies the answering node is one of the pods that it selects.",
    }),
    zone: Type.Optional(
      Type.String({
        default: "cluster.local",
        description: "The zone of the cluster's names; cluster.local when absent.",
      }),
    ),
    ttlSeconds: Type.Optional(
      Type.Integer({
        default: 5,
        description: "How long the cluster's names may be believed, 0 to 3600; 5 when absent.",
        crd: { minimum: 0, maximum: 3600 },
      }),
    ),
    upstreams: Type.Optional(
      servers(
        "Who is asked for all other names, in this order, as ADDRESS or ADDRESS:PORT; whom the node itself asks (/etc/resolv.conf) when absent.",
      ),
    ),
    forwarders: Type.Optional(
      Type.Array(
        Type.Object({
          zone: Type.String({ description: "The zone; the longest one that a name is in counts." }),
          servers: servers("Who is asked, as upstreams."),
        }),
        { maxItems: 64, description: "Who is asked for names of a zone, in place of upstreams." },
      ),
    ),
  },
  {
    description:
      "Has each node answer the DNS queries of its own pods, from what it knows. Without it nothing answers but what runs in the cluster.",
  },
);

const specSchema = Type.Object(
  {
    vni: Type.Integer({
      description:
        "VXLAN network identifier of the domain's traffic between nodes, 1 to 16777215. Each domain needs its own. Cannot be changed.",
      crd: { minimum: 1, maximum: maximumVni, validations: [immutable] },
    }),
    pools: Type.Array(Type.String({ crd: cidrText }), {
      minItems: 1,
      maxItems: 64,
      crd: { validations: [poolsStay] },
      description:
        "CIDRs, IPv4 or IPv6, out of which the namespaces of the domain get their networks. They do not overlap. A pool can be added, but not removed.",
    }),
    networkPrefixLength: Type.Optional(
      Type.Object(
        {
          ipv4: Type.Optional(
            Type.Integer({
              default: 24,
              description: "Of IPv4 networks; 24 when absent.",
              crd: { minimum: 8, maximum: 30 },
            }),
          ),
          ipv6: Type.Optional(
            Type.Integer({
              default: 64,
              description: "Of IPv6 networks; 64 when absent.",
              crd: { minimum: 8, maximum: 126 },
            }),
          ),
        },
        {
          default: {},
          description: "How large the networks are that are cut from the pools, as prefix lengths.",
        },
      ),
    ),
    serviceCidrs: Type.Optional(
      Type.Array(Type.String({ crd: cidrText }), {
        maxItems: 64,
        description:
          "CIDRs that the Services' addresses are from, as the cluster has them; not in the pools. What a node itself sends there goes through its switch, which balances it.",
      }),
    ),
    masquerade: Type.Optional(
      Type.Object(
        {
          enabled: Type.Optional(
            Type.Boolean({
              default: true,
              description:
                "false when the network outside knows the way to the pools: endpoints then keep their own addresses everywhere.",
            }),
          ),
          except: Type.Optional(
            Type.Array(Type.String(), {
              description:
                "CIDRs to which endpoints keep their own addresses, and which therefore must know the way back.",
            }),
          ),
        },
        {
          description:
            "Under which address endpoints are seen outside the pools: that of their node, chosen by the interface through which it sends, with a random port.",
        },
      ),
    ),
    dns: Type.Optional(dnsSchema),
    ipam: Type.Optional(
      Type.Object(
        {
          webhook: Type.Optional(
            Type.Object(
              {
                url: Type.String({
                  description:
                    "http or https. The controller sends requests to /allocate, /release and /health below it.",
                }),
                timeoutSeconds: Type.Optional(
                  Type.Integer({
                    default: 5,
                    description: "How long an answer may take, 1 to 30; 5 when absent.",
                    crd: { minimum: 1, maximum: 30 },
                  }),
                ),
                caBundle: Type.Optional(
                  Type.String({
                    description:
                      "PEM certificates that sign the server's certificate; the system's when absent.",
                  }),
                ),
              },
              { description: "A service over HTTP that gives addresses out and takes them back." },
            ),
          ),
        },
        {
          description:
            "Who gives out the domain's addresses, when it is not Isobar. They must lie in the pools.",
        },
      ),
    ),
  },
  { description: "What is wanted." },
);

const statusSchema = Type.Object(
  {
    conditions: Type.Optional(conditionsSchema),
    networks: Type.Optional(Type.Integer({ description: "How many networks it has." })),
    used: Type.Optional(
      Type.Integer({ description: "How many places of its networks are taken." }),
    ),
    pools: Type.Optional(
      Type.Array(
        Type.Object({
          cidr: Type.String({ description: "The pool." }),
          networks: Type.Integer({ description: "How many networks have a part of it." }),
        }),
        { description: "What has been cut from each pool." },
      ),
    ),
    claims: Type.Optional(
      Type.Array(
        Type.Object({
          cidrs: Type.Array(Type.String(), { description: "The parts." }),
          until: Type.String({ format: "date-time", description: "When the claim ends." }),
        }),
        {
          description:
            "Parts of the pools that are promised to networks about to be made, or that rest after theirs have gone.",
        },
      ),
    ),
    lastCut: Type.Optional(
      Type.Array(Type.String(), {
        description: "What was cut last, of each address family. The next cut is made behind it.",
      }),
    ),
  },
  { description: "What has been made of its pools; the controller's own." },
);

export type Domain = CustomObject<typeof specSchema, typeof statusSchema>;

function validatePools(pools: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const earlier: Prefix[] = [];
  for (const [index, text] of pools.entries()) {
    const path = `spec.pools[${index}]`;
    errors.push(...validateCidr(text, path));
    const pool = tryParsePrefix(text);
    if (pool === undefined) continue;
    if (formatPrefix(pool) !== text) {
      errors.push(invalid(path, text, `must be in canonical form ("${formatPrefix(pool)}")`));
    }
    const other = earlier.find((each) => prefixContains(each, pool) || prefixContains(pool, each));
    if (other !== undefined) {
      const same = formatPrefix(other) === formatPrefix(pool);
      const rule = `must not overlap pool ${formatPrefix(other)}`;
      errors.push(same ? duplicate(path, text) : invalid(path, text, rule));
    }
    earlier.push(pool);
  }
  return errors;
}

/** Networks must fit into every pool of their family and have room for at least two endpoints. */
function validatePrefixLengths({ networkPrefixLength, pools }: Domain["spec"]): FieldError[] {
  const errors: FieldError[] = [];
  for (const [name, family] of [
    ["ipv4", 4],
    ["ipv6", 6],
  ] as const) {
    const length = networkPrefixLength?.[name];
    if (length === undefined) continue;
    const path = `spec.networkPrefixLength.${name}`;
    errors.push(...invalidEach(path, length, checkInRange(length, 8, widthOf(family) - 2)));
    const ofFamily = pools.map(tryParsePrefix).filter((pool) => pool?.family === family);
    const small = ofFamily.find((pool) => pool !== undefined && pool.length > length);
    if (small !== undefined) {
      const rule = `must be at least ${small.length}, for networks are cut from pool ${formatPrefix(small)}`;
      errors.push(invalid(path, length, rule));
    }
  }
  return errors;
}

/** CIDRs in canonical form, each once. */
function validateCidrs(cidrs: readonly string[], field: string): FieldError[] {
  const seen = new Set<string>();
  return cidrs.flatMap((text, index) => {
    const path = `${field}[${index}]`;
    const errors = validateCidr(text, path);
    const prefix = tryParsePrefix(text);
    if (prefix === undefined) return errors;
    const canonical = formatPrefix(prefix);
    if (canonical !== text) {
      errors.push(invalid(path, text, `must be in canonical form ("${canonical}")`));
    }
    if (seen.has(canonical)) errors.push(duplicate(path, text));
    seen.add(canonical);
    return errors;
  });
}

function validateWebhook({ ipam }: Domain["spec"]): FieldError[] {
  if (ipam?.webhook === undefined) return [];
  const { url, timeoutSeconds = 5 } = ipam.webhook;
  const path = "spec.ipam.webhook";
  const timeout = checkInRange(timeoutSeconds, 1, 30);
  const errors = invalidEach(`${path}.timeoutSeconds`, timeoutSeconds, timeout);
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (protocol === "http:" || protocol === "https:") return errors;
  return [...errors, invalid(`${path}.url`, url, "must be an http or https URL")];
}

function validateServiceCidrs({ serviceCidrs = [], pools }: Domain["spec"]): FieldError[] {
  const field = "spec.serviceCidrs";
  const parsed = pools.map(tryParsePrefix).filter((pool) => pool !== undefined);
  const overlaps = serviceCidrs.flatMap((text, index) => {
    const prefix = tryParsePrefix(text);
    const other =
      prefix && parsed.find((pool) => prefixContains(pool, prefix) || prefixContains(prefix, pool));
    if (other === undefined) return [];
    return [invalid(`${field}[${index}]`, text, `must not overlap pool ${formatPrefix(other)}`)];
  });
  return [...validateCidrs(serviceCidrs, field), ...overlaps];
}

function validateServers(texts: readonly string[], field: string): FieldError[] {
  return texts.flatMap((text, index) => {
    const rule = "must be an address, or an address and a port (192.0.2.1:53, [2001:db8::1]:53)";
    const path = `${field}[${index}]`;
    return tryParseSocketAddress(text, 53) === undefined ? [invalid(path, text, rule)] : [];
  });
}

function validateDns({ dns }: Domain["spec"]): FieldError[] {
  if (dns === undefined) return [];
  const { service, zone = "cluster.local", ttlSeconds = 5, upstreams = [], forwarders = [] } = dns;
  const path = "spec.dns";
  const parts = service.split("/");
  const isService =
    parts.length === 2 && parts.every((part) => checkName("label", part).length === 0);
  const errors = [
    ...(isService ? [] : [invalid(`${path}.service`, service, "must be NAMESPACE/NAME")]),
    ...invalidEach(`${path}.zone`, zone, checkName("subdomain", zone)),
    ...invalidEach(`${path}.ttlSeconds`, ttlSeconds, checkInRange(ttlSeconds, 0, 3600)),
    ...validateServers(upstreams, `${path}.upstreams`),
  ];
  const seen = new Set<string>();
  for (const [index, forwarder] of forwarders.entries()) {
    const field = `${path}.forwarders[${index}]`;
    const name = `${field}.zone`;
    errors.push(...invalidEach(name, forwarder.zone, checkName("subdomain", forwarder.zone)));
    if (seen.has(forwarder.zone)) errors.push(duplicate(name, forwarder.zone));
    seen.add(forwarder.zone);
    errors.push(...validateServers(forwarder.servers, `${field}.servers`));
  }
  return errors;
}

function validate({ spec }: Domain, old?: Domain): FieldError[] {
  const errors = [
    ...invalidEach("spec.vni", spec.vni, checkInRange(spec.vni, 1, maximumVni)),
    ...validatePools(spec.pools),
    ...validatePrefixLengths(spec),
    ...validateWebhook(spec),
    ...validateCidrs(spec.masquerade?.except ?? [], "spec.masquerade.except"),
    ...validateServiceCidrs(spec),
    ...validateDns(spec),
  ];
  if (old === undefined) return errors;
  if (old.spec.vni !== spec.vni) errors.push(invalid("spec.vni", spec.vni, "field is immutable"));
  const removed = old.spec.pools.filter((pool) => !spec.pools.includes(pool));
  if (removed.length > 0) {
    const rule = `pools cannot be removed: ${removed.join(", ")}`;
    errors.push(forbidden("spec.pools", rule));
  }
  return errors;
}

export const domainKind: KindDefinition<Domain> = {
  ...isobarGroup,
  kind: "Domain",
  plural: "domains",
  singular: "domain",
  shortNames: ["dom"],
  namespaced: false,
  schema: customSchema("Domain", {
    description:
      "A routing context with its own address pools. What is in a domain reaches, as policies allow, what is in the same domain; addresses of two domains may overlap.",
    spec: specSchema,
    status: statusSchema,
  }),
  nameRule: "label",
  hasStatus: true,
  columns: [
    nameColumn,
    column("VNI", "VXLAN network identifier.", ({ spec }) => String(spec.vni), ".spec.vni"),
    column(
      "Pools",
      "CIDRs that networks are cut from.",
      ({ spec }) => spec.pools.join(","),
      ".spec.pools",
    ),
    column(
      "Networks",
      "How many networks it has.",
      ({ status }) => status?.networks ?? 0,
      ".status.networks",
    ),
    column(
      "Used",
      "How many places of its networks are taken.",
      ({ status }) => status?.used ?? 0,
      ".status.used",
    ),
    ageColumn,
  ],
  selectableFields: {},
  validate,
};
