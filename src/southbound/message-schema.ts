// What may come over the stream. A message that is not of this form ends the session: half-understood policy is worse
// than the last that was understood. Unknown properties are ignored, so that a later version may add some.
import { type TSchema, Type } from "typebox";
import { Compile } from "typebox/compile";
import { DecodeError } from "../wire/errors.ts";
import type { LocalRequest } from "./attachment.ts";
import type { AgentMessage, ControllerMessage } from "./messages.ts";
import { type Resource, resourceKinds } from "./resources.ts";

const text = Type.String();
const texts = Type.Array(text);
const textsOrAny = Type.Union([texts, Type.Literal("any")]);
const port = Type.Integer({ minimum: 0, maximum: 65535 });
const revision = Type.Integer({ minimum: 0 });

const domain = Type.Object({
  kind: Type.Literal("domain"),
  id: text,
  vni: Type.Integer({ minimum: 1, maximum: 0xff_ff_ff }),
  pools: texts,
  unmasqueraded: Type.Optional(texts),
  serviceCidrs: Type.Optional(texts),
  dns: Type.Optional(
    Type.Object({
      service: text,
      zone: text,
      ttlSeconds: Type.Integer({ minimum: 0 }),
      upstreams: texts,
      forwarders: Type.Array(Type.Object({ zone: text, servers: texts })),
    }),
  ),
});
const node = Type.Object({
  kind: Type.Literal("node"),
  id: text,
  addresses: texts,
  zone: Type.Optional(text),
});
const endpoint = Type.Object({
  kind: Type.Literal("endpoint"),
  id: text,
  domain: text,
  node: text,
  addresses: texts,
  mac: text,
  uids: Type.Optional(texts),
  identity: text,
});
const posture = Type.Object({
  kind: Type.Literal("posture"),
  id: text,
  ingress: texts,
  egress: texts,
});
const group = Type.Object({
  kind: Type.Literal("group"),
  id: text,
  identities: texts,
  networks: Type.Array(Type.Object({ cidr: text, except: texts })),
  domainNames: Type.Optional(texts),
});
const portProtocol = Type.Union([Type.Literal("TCP"), Type.Literal("UDP"), Type.Literal("SCTP")]);
const portMatch = Type.Object({
  protocol: portProtocol,
  from: port,
  to: port,
});
const rule = Type.Object({
  kind: Type.Literal("rule"),
  id: text,
  direction: Type.Union([Type.Literal("ingress"), Type.Literal("egress")]),
  tier: Type.Union([
    Type.Literal("admin"),
    Type.Literal("isobar"),
    Type.Literal("networkpolicy"),
    Type.Literal("baseline"),
  ]),
  priority: Type.Number(),
  action: Type.Union([Type.Literal("allow"), Type.Literal("deny"), Type.Literal("pass")]),
  subjects: texts,
  peers: textsOrAny,
  ports: Type.Union([Type.Array(portMatch), Type.Literal("any")]),
  policy: text,
  ruleIndex: Type.Integer({ minimum: 0 }),
});

const servicePort = Type.Integer({ minimum: 1, maximum: 65535 });
const trafficPolicy = Type.Union([Type.Literal("Cluster"), Type.Literal("Local")]);
const frontend = Type.Object({
  address: text,
  port: servicePort,
  scope: Type.Union([Type.Literal("cluster"), Type.Literal("external")]),
});
const service = Type.Object({
  kind: Type.Literal("service"),
  id: text,
  name: text,
  portName: text,
  domain: text,
  protocol: portProtocol,
  family: Type.Union([Type.Literal(4), Type.Literal(6)]),
  frontends: Type.Array(frontend),
  nodePort: Type.Optional(servicePort),
  internalPolicy: trafficPolicy,
  externalPolicy: trafficPolicy,
  affinitySeconds: Type.Optional(Type.Integer({ minimum: 1 })),
  healthCheckNodePort: Type.Optional(servicePort),
  sourceRanges: Type.Optional(texts),
});
const backend = Type.Object({
  kind: Type.Literal("backend"),
  id: text,
  service: text,
  address: text,
  port: servicePort,
  node: text,
  ready: Type.Boolean(),
  zones: Type.Optional(texts),
  nodes: Type.Optional(texts),
  weight: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
});

const namedPorts = Type.Array(
  Type.Object({ name: text, protocol: portProtocol, port: servicePort }),
);
const record = Type.Object({
  kind: Type.Literal("record"),
  id: text,
  domain: text,
  addresses: texts,
  alias: Type.Optional(text),
  ports: namedPorts,
});
const host = Type.Object({
  kind: Type.Literal("host"),
  id: text,
  record: text,
  address: text,
  hostname: Type.Optional(text),
  ports: namedPorts,
});

const announcement = Type.Object({
  kind: Type.Literal("announcement"),
  id: text,
  address: text,
  protocol: Type.Literal("L2"),
  nodes: texts,
  interfaces: Type.Optional(texts),
});
const milliseconds = Type.Integer({ minimum: 1 });
const threshold = Type.Integer({ minimum: 1 });
const check = Type.Object({
  kind: Type.Literal("check"),
  id: text,
  checkers: texts,
  address: text,
  port: servicePort,
  protocol: Type.Union([Type.Literal("TCP"), Type.Literal("HTTP")]),
  path: Type.Optional(text),
  host: Type.Optional(text),
  statuses: Type.Optional(Type.Array(Type.Object({ from: Type.Integer(), to: Type.Integer() }))),
  intervalMs: milliseconds,
  timeoutMs: milliseconds,
  healthyThreshold: threshold,
  unhealthyThreshold: threshold,
});

const resourceSchemas = {
  domain,
  node,
  group,
  rule,
  posture,
  endpoint,
  backend,
  service,
  record,
  host,
  announcement,
  check,
};
const resource = Type.Union(Object.values(resourceSchemas));
const resourceKey = Type.Object({
  kind: Type.Union(resourceKinds.map((kind) => Type.Literal(kind))),
  id: text,
});

const ping = Type.Object({ type: Type.Literal("ping") });
const pong = Type.Object({ type: Type.Literal("pong") });

const agentSchemas = {
  hello: Type.Object({
    type: Type.Literal("hello"),
    version: Type.Integer(),
    node: Type.String({ minLength: 1 }),
    token: Type.Optional(Type.String({ minLength: 1, maxLength: 16_384 })),
    have: Type.Record(Type.String(), text),
  }),
  ack: Type.Object({
    type: Type.Literal("ack"),
    revision,
    errors: Type.Array(Type.Object({ resource: resourceKey, message: text })),
  }),
  health: Type.Object({
    type: Type.Literal("health"),
    verdicts: Type.Array(Type.Object({ check: text, healthy: Type.Boolean(), message: text })),
  }),
  applied: Type.Object({ type: Type.Literal("applied"), revision }),
  ping,
  pong,
};

const controllerSchemas = {
  welcome: Type.Object({
    type: Type.Literal("welcome"),
    version: Type.Integer(),
    controller: text,
  }),
  delta: Type.Object({
    type: Type.Literal("delta"),
    sequence: Type.Integer({ minimum: 1 }),
    revision,
    upserts: Type.Array(resource),
    deletes: Type.Array(resourceKey),
  }),
  refuse: Type.Object({ type: Type.Literal("refuse"), reason: text }),
  ping,
  pong,
};

const requestSchemas = {
  attach: Type.Object({
    type: Type.Literal("attach"),
    endpoint: Type.String({ minLength: 1 }),
    container: Type.String({ minLength: 1, maxLength: 253 }),
    netns: Type.String({ pattern: "^/" }),
    interface: Type.String({ pattern: "^[A-Za-z0-9_.-]{1,15}$" }),
    timeoutMs: Type.Integer({ minimum: 0, maximum: 600_000 }),
    uid: Type.Optional(text),
    network: Type.Optional(text),
    mtu: Type.Optional(Type.Integer({ minimum: 1280, maximum: 65_535 })),
    routes: Type.Optional(texts),
    requestedAddresses: Type.Optional(texts),
    requestedMac: Type.Optional(text),
  }),
  detach: Type.Object({ type: Type.Literal("detach"), container: text, interface: text }),
  status: Type.Object({ type: Type.Literal("status") }),
  cni: Type.Object({
    type: Type.Literal("cni"),
    environment: Type.Record(text, text),
    config: text,
  }),
};

const agentMessage = Compile(Type.Union(Object.values(agentSchemas)));
const controllerMessage = Compile(Type.Union(Object.values(controllerSchemas)));
const localRequest = Compile(Type.Union(Object.values(requestSchemas)));
const anyResource = Compile(resource);

/** @throws {DecodeError} `malformed` */
export function decodeAgentMessage(value: unknown): AgentMessage {
  if (agentMessage.Check(value)) return value;
  throw malformed(agentSchemas, "type", value);
}

/** @throws {DecodeError} `malformed` */
export function decodeControllerMessage(value: unknown): ControllerMessage {
  if (controllerMessage.Check(value)) return value;
  throw malformed(controllerSchemas, "type", value);
}

/** @throws {DecodeError} `malformed` */
export function decodeLocalRequest(value: unknown): LocalRequest {
  if (localRequest.Check(value)) return value;
  throw malformed(requestSchemas, "type", value);
}

/** @throws {DecodeError} `malformed` */
export function decodeResource(value: unknown): Resource {
  if (anyResource.Check(value)) return value;
  throw malformed(resourceSchemas, "kind", value);
}

/** Says what is wrong by the schema that the value's tag names, and inside a delta by the resource at fault. */
function malformed(
  schemas: Readonly<Record<string, TSchema>>,
  tag: "type" | "kind",
  value: unknown,
): DecodeError {
  const fields: Record<string, unknown> = { ...(typeof value === "object" ? value : {}) };
  const name = String(fields[tag]);
  const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
  if (schema === undefined) {
    const known = Object.keys(schemas).join(", ");
    return new DecodeError("malformed", `expected ${tag} to be one of ${known}, got ${name}`);
  }
  const upserts = Array.isArray(fields["upserts"]) ? fields["upserts"] : [];
  const bad: unknown = upserts.find((upsert) => !anyResource.Check(upsert));
  if (bad !== undefined) return malformed(resourceSchemas, "kind", bad);
  const [error] = Compile(schema).Errors(value);
  const where = typeof fields["id"] === "string" ? `${name} ${fields["id"]}` : name;
  return new DecodeError(
    "malformed",
    `${where}: ${error?.instancePath ?? ""} ${error?.message ?? "is not valid"}`,
  );
}
