// isobar.io/v1alpha1 LoadBalancer: virtual addresses with any endpoints behind them, whose health the nodes look after.
import { Type } from "typebox";
import { duplicate, invalid, invalidEach, required } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkDnsLabel, checkInRange, checkPortNumber } from "../apimachinery/names.ts";
import { tryParseAddress } from "../net/address.ts";
import { validateAddress } from "./address.ts";
import { ageColumn, column, nameColumn, orNone } from "./column.ts";
import { addressText, nameText, oneOfEachFamily } from "./crd-constraints.ts";
import { customSchema, isobarGroup, type CustomObject } from "./custom-kind.ts";
import { labelSelectorSchema, validateLabelSelector } from "./label-selector.ts";

const protocols = ["TCP", "UDP", "SCTP"] as const;
const checkProtocols = ["TCP", "HTTP"] as const;
const families = ["IPv4", "IPv6"] as const;
const fallbacks = ["UseAll", "Reject"] as const;
const healths = ["Healthy", "Unhealthy", "Unknown"] as const;
const highestWeight = 100;
const portBounds = { minimum: 1, maximum: 65_535 };

const portSchema = Type.Object({
  name: Type.Optional(
    Type.String({
      description: "Tells it from the others; needed where there are several.",
      crd: { maxLength: 63 },
    }),
  ),
  protocol: Type.Optional(
    Type.Enum(protocols, { type: "string", default: "TCP", description: "TCP when absent." }),
  ),
  port: Type.Integer({ description: "The port of the virtual addresses.", crd: portBounds }),
  targetPort: Type.Optional(
    Type.Integer({
      description: "The port of the members; the same when absent.",
      crd: portBounds,
    }),
  ),
});

const memberSchema = Type.Object(
  {
    podSelector: Type.Optional(
      labelSelectorSchema("Every pod of the namespace that it matches and that runs."),
    ),
    endpoint: Type.Optional(
      Type.String({
        description: "Name of an Endpoint in the namespace: a virtual machine, a host.",
        crd: nameText,
      }),
    ),
    address: Type.Optional(
      Type.String({
        description: "An address of anything else, such as a server outside.",
        crd: addressText,
      }),
    ),
    weight: Type.Optional(
      Type.Integer({
        default: 1,
        description:
          "Its share of new connections beside the others', 0 to 100; 0 takes none, and lets those it has go on.",
        crd: { minimum: 0, maximum: highestWeight },
      }),
    ),
  },
  { description: "One of podSelector, endpoint and address." },
);

const healthCheckSchema = Type.Object(
  {
    protocol: Type.Optional(
      Type.Enum(checkProtocols, {
        type: "string",
        default: "TCP",
        description: "TCP: a connection opens. HTTP: a GET is answered with an expected status.",
      }),
    ),
    port: Type.Optional(
      Type.Integer({
        description: "Port of the members; the first target port when absent.",
        crd: portBounds,
      }),
    ),
    path: Type.Optional(
      Type.String({ default: "/", description: "Of the GET.", crd: { maxLength: 1024 } }),
    ),
    host: Type.Optional(
      Type.String({
        description: "Of the GET's Host header; the member's address when absent.",
        crd: { maxLength: 253 },
      }),
    ),
    expectedStatuses: Type.Optional(
      Type.Array(Type.String({ crd: { pattern: "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" } }), {
        maxItems: 16,
        description: "Such as 200 or 200-299; 200-399 when absent. Redirects are not followed.",
      }),
    ),
    intervalSeconds: Type.Optional(
      Type.Integer({
        default: 5,
        description: "From one check to the next, 1 to 300.",
        crd: { minimum: 1, maximum: 300 },
      }),
    ),
    timeoutSeconds: Type.Optional(
      Type.Integer({
        default: 2,
        description: "How long an answer may take, 1 to 60, no longer than the interval.",
        crd: { minimum: 1, maximum: 60 },
      }),
    ),
    healthyThreshold: Type.Optional(
      Type.Integer({
        default: 2,
        description: "So many good answers in a row make an unhealthy member healthy, 1 to 10.",
        crd: { minimum: 1, maximum: 10 },
      }),
    ),
    unhealthyThreshold: Type.Optional(
      Type.Integer({
        default: 3,
        description: "So many bad answers in a row make a healthy member unhealthy, 1 to 10.",
        crd: { minimum: 1, maximum: 10 },
      }),
    ),
  },
  {
    description:
      "How the members' health is found out; every member counts as healthy when absent. A member on a node is looked after by that node, any other by up to three nodes, of which most must agree.",
  },
);

const specSchema = Type.Object(
  {
    pool: Type.Optional(
      Type.String({
        description: "Name of the LoadBalancerPool that the addresses are from; any when absent.",
        crd: nameText,
      }),
    ),
    addresses: Type.Optional(
      Type.Array(Type.String({ crd: addressText }), {
        maxItems: 2,
        crd: { validations: [oneOfEachFamily] },
        description: "Exactly these, out of a pool; any when absent.",
      }),
    ),
    families: Type.Optional(
      Type.Array(Type.Enum(families, { type: "string" }), {
        minItems: 1,
        maxItems: 2,
        description:
          "Of the virtual addresses; those of the addresses that are asked for when absent, otherwise IPv4. Members of another family are not used.",
      }),
    ),
    sharingKey: Type.Optional(
      Type.String({
        description: "Shares its addresses with those who bring the same key.",
        crd: { minLength: 1, maxLength: 253 },
      }),
    ),
    ports: Type.Array(portSchema, {
      minItems: 1,
      maxItems: 64,
      description: "What it answers on.",
    }),
    members: Type.Array(memberSchema, {
      maxItems: 1000,
      description: "Where connections go.",
    }),
    healthCheck: Type.Optional(healthCheckSchema),
    whenAllUnhealthy: Type.Optional(
      Type.Enum(fallbacks, {
        type: "string",
        default: "UseAll",
        description:
          "UseAll: connections go to every member, as it may be the check that is wrong. Reject: connections are refused.",
      }),
    ),
    affinitySeconds: Type.Optional(
      Type.Integer({
        description:
          "How long all connections of a client's address go to the same member; each for itself when absent.",
        crd: { minimum: 1, maximum: 86_400 },
      }),
    ),
  },
  { description: "What is wanted." },
);

const conditionSchema = Type.Object({
  type: Type.String({ description: "What is said, such as isobar.io/AddressAssigned." }),
  status: Type.String({ description: "True or False." }),
  reason: Type.String({ description: "Why, in one word." }),
  message: Type.String({ description: "Why, for people." }),
  lastTransitionTime: Type.String({ format: "date-time", description: "Since when." }),
});

const statusSchema = Type.Object(
  {
    addresses: Type.Optional(Type.Array(Type.String(), { description: "Its virtual addresses." })),
    members: Type.Optional(
      Type.Array(
        Type.Object({
          address: Type.String({ description: "The member's address." }),
          node: Type.Optional(Type.String({ description: "The node that it is on." })),
          health: Type.Enum(healths, { type: "string", description: "As it was last found." }),
          message: Type.Optional(Type.String({ description: "Why it is not healthy." })),
        }),
        { description: "The members as they were last found." },
      ),
    ),
    healthy: Type.Optional(
      Type.String({ description: "How many members are healthy, of how many." }),
    ),
    problems: Type.Optional(
      Type.Array(Type.String(), { description: "Members that cannot be used, and why." }),
    ),
    conditions: Type.Optional(Type.Array(conditionSchema, { description: "What has come of it." })),
  },
  { description: "What has come of it; the controller's own." },
);

export type LoadBalancer = CustomObject<typeof specSchema, typeof statusSchema>;
type Spec = LoadBalancer["spec"];
type Member = Spec["members"][number];

function validatePorts(ports: Spec["ports"]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { name = "", protocol = "TCP", port, targetPort }] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    if (ports.length > 1 && name === "") errors.push(required(`${path}.name`));
    else if (name !== "") errors.push(...invalidEach(`${path}.name`, name, checkDnsLabel(name)));
    errors.push(...invalidEach(`${path}.port`, port, checkPortNumber(port)));
    if (targetPort !== undefined) {
      errors.push(...invalidEach(`${path}.targetPort`, targetPort, checkPortNumber(targetPort)));
    }
    for (const key of [`${protocol}/${port}`, ...(name === "" ? [] : [`name ${name}`])]) {
      if (seen.has(key)) errors.push(duplicate(path, { protocol, port, name }));
      seen.add(key);
    }
  }
  return errors;
}

function validateMember(member: Member, path: string): FieldError[] {
  const { podSelector, endpoint, address, weight } = member;
  const given = [podSelector, endpoint, address].filter((each) => each !== undefined);
  const errors: FieldError[] = [];
  if (given.length !== 1) {
    const rule = "must have exactly one of podSelector, endpoint and address";
    errors.push(invalid(path, member, rule));
  }
  if (podSelector) errors.push(...validateLabelSelector(podSelector, `${path}.podSelector`));
  if (address !== undefined) errors.push(...validateAddress(address, `${path}.address`));
  if (weight !== undefined) {
    errors.push(...invalidEach(`${path}.weight`, weight, checkInRange(weight, 0, highestWeight)));
  }
  return errors;
}

const statusPattern = /^[1-5]\d\d(-[1-5]\d\d)?$/;

function validateCheck({ healthCheck: check }: Spec): FieldError[] {
  if (check === undefined) return [];
  const path = "spec.healthCheck";
  const bounds = [
    ["port", check.port, 65_535],
    ["intervalSeconds", check.intervalSeconds, 300],
    ["timeoutSeconds", check.timeoutSeconds, 60],
    ["healthyThreshold", check.healthyThreshold, 10],
    ["unhealthyThreshold", check.unhealthyThreshold, 10],
  ] as const;
  const errors = bounds.flatMap(([field, value, highest]) =>
    value === undefined
      ? []
      : invalidEach(`${path}.${field}`, value, checkInRange(value, 1, highest)),
  );
  const { intervalSeconds = 5, timeoutSeconds = 2, path: target = "/" } = check;
  if (timeoutSeconds > intervalSeconds) {
    const rule = `must not be longer than the interval (${intervalSeconds})`;
    errors.push(invalid(`${path}.timeoutSeconds`, timeoutSeconds, rule));
  }
  if (!/^\/[\x21-\x7e]*$/.test(target)) {
    errors.push(invalid(`${path}.path`, target, "must begin with / and have no spaces"));
  }
  if (check.host !== undefined && !/^[\x21-\x7e]+$/.test(check.host)) {
    errors.push(invalid(`${path}.host`, check.host, "must be a name or an address"));
  }
  for (const [index, text] of (check.expectedStatuses ?? []).entries()) {
    const [from = "", to = from] = text.split("-");
    if (statusPattern.test(text) && from <= to) continue;
    const form = "must be a status or a range of some, (e.g. 200 or 200-299)";
    errors.push(invalid(`${path}.expectedStatuses[${index}]`, text, form));
  }
  return errors;
}

function validateAddresses({ addresses = [], families: wanted }: Spec): FieldError[] {
  const seen = new Set<number>();
  return addresses.flatMap((text, index) => {
    const path = `spec.addresses[${index}]`;
    const errors = validateAddress(text, path);
    const family = tryParseAddress(text)?.family;
    if (family === undefined) return errors;
    if (seen.has(family)) errors.push(duplicate(path, text));
    seen.add(family);
    if (wanted !== undefined && !wanted.includes(`IPv${family}`)) {
      errors.push(invalid(path, text, "must be of one of spec.families"));
    }
    return errors;
  });
}

function validate({ spec }: LoadBalancer): FieldError[] {
  const wanted = spec.families ?? [];
  return [
    ...validateAddresses(spec),
    ...(wanted[0] === wanted[1] && wanted.length > 1
      ? [duplicate("spec.families[1]", wanted[1])]
      : []),
    ...validatePorts(spec.ports),
    ...spec.members.flatMap((member, index) => validateMember(member, `spec.members[${index}]`)),
    ...validateCheck(spec),
    ...(spec.affinitySeconds === undefined
      ? []
      : invalidEach(
          "spec.affinitySeconds",
          spec.affinitySeconds,
          checkInRange(spec.affinitySeconds, 1, 86_400),
        )),
  ];
}

export const loadBalancerKind: KindDefinition<LoadBalancer> = {
  ...isobarGroup,
  kind: "LoadBalancer",
  plural: "loadbalancers",
  singular: "loadbalancer",
  shortNames: ["lb"],
  namespaced: true,
  schema: customSchema("LoadBalancer", {
    description:
      "Virtual addresses whose connections every node's switch balances over members of any kind: pods, virtual machines, servers outside.",
    spec: specSchema,
    status: statusSchema,
  }),
  nameRule: "label",
  hasStatus: true,
  columns: [
    nameColumn,
    column(
      "Addresses",
      "Its virtual addresses.",
      ({ status }) => orNone(status?.addresses?.join(",")),
      ".status.addresses",
    ),
    column(
      "Ports",
      "What it answers on.",
      ({ spec }) => spec.ports.map(({ protocol = "TCP", port }) => `${port}/${protocol}`).join(","),
      ".spec.ports[*].port",
    ),
    column(
      "Healthy",
      "How many members are healthy.",
      ({ status }) => status?.healthy ?? "<unknown>",
      ".status.healthy",
    ),
    ageColumn,
  ],
  selectableFields: {},
  validate,
};
