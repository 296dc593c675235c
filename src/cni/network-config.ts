// The plugin's configuration as a runtime passes it on standard input: CNI specification 1.1.0, sections 1 and 3.
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { formatAddress, tryParseAddress, tryParsePrefix } from "../net/address.ts";
import { CniError } from "./errors.ts";
import { type CniVersion, parseCniVersion } from "./version.ts";

export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** An attachment as the runtime names it. */
export interface AttachmentName {
  readonly container: string;
  readonly interface: string;
}

export interface NetworkConfig {
  readonly version: CniVersion;
  /** Name of the network. */
  readonly name: string;
  /** Zone of endpoints that are named without one. */
  readonly zone: string | undefined;
  /** `undefined` is what the network between the nodes carries. */
  readonly mtu: number | undefined;
  /** Destinations that are reached through the interface, in CIDR form; `undefined` is everything. */
  readonly routes: readonly string[] | undefined;
  readonly dns: Dns | undefined;
  readonly attachTimeoutMs: number;
  /** Addresses and MAC that the runtime asks for. */
  readonly requestedAddresses: readonly string[];
  readonly requestedMac: string | undefined;
  readonly prevResult: Readonly<Record<string, unknown>> | undefined;
  /** For GC. */
  readonly validAttachments: readonly AttachmentName[] | undefined;
}

const defaultAttachTimeoutSeconds = 30;
/** What every link must carry (RFC 8200 section 5). */
const smallestMtu = 1280;

/** Keys of the protocol itself, as GC's. */
const protocolPrefix = "cni.dev/";

const anyText = Type.String();
const textList = Type.Array(anyText);
const anyObject = Type.Record(Type.String(), Type.Unknown());
const dnsSchema = Type.Object({
  nameservers: Type.Optional(textList),
  domain: Type.Optional(anyText),
  search: Type.Optional(textList),
  options: Type.Optional(textList),
});

const fields = {
  cniVersion: anyText,
  name: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]*$" }),
  type: anyText,
  socket: Type.Optional(Type.String({ pattern: "^/" })),
  zone: Type.Optional(Type.String({ pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" })),
  mtu: Type.Optional(Type.Integer({ minimum: smallestMtu, maximum: 65_535 })),
  routes: Type.Optional(Type.Array(Type.Object({ dst: anyText }))),
  dns: Type.Optional(dnsSchema),
  attachTimeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 300 })),
  ipam: Type.Optional(anyObject),
  ipMasq: Type.Optional(Type.Boolean()),
  capabilities: Type.Optional(anyObject),
  args: Type.Optional(Type.Unknown()),
  runtimeConfig: Type.Optional(
    Type.Object({
      ips: Type.Optional(textList),
      mac: Type.Optional(anyText),
      dns: Type.Optional(
        Type.Object({
          servers: Type.Optional(textList),
          searches: Type.Optional(textList),
          options: Type.Optional(textList),
        }),
      ),
    }),
  ),
  prevResult: Type.Optional(anyObject),
};

const schema = Compile(Type.Object(fields));

/** What a runtime may hand over if the configuration claims that the plugin can do it. */
const usedCapabilities = new Set(["ips", "mac", "dns"]);
/** Chained plugins do these. */
const chainedCapabilities: Readonly<Record<string, string>> = {
  portMappings: "chain the plugin portmap behind isobar",
  bandwidth: "chain the plugin bandwidth behind isobar",
};

const attachmentList = Compile(
  Type.Array(Type.Object({ containerID: Type.String(), ifname: Type.String() })),
);

function invalid(message: string, details?: string): CniError {
  return new CniError("invalidConfig", `network configuration: ${message}`, details);
}

function unsupported(key: string, value: unknown, hint: string): CniError {
  const shown = JSON.stringify(value) ?? "undefined";
  const short = shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
  return new CniError(
    "unsupportedField",
    `network configuration: ${key} is not supported: ${short}`,
    hint,
  );
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** @throws {CniError} `decodingFailure` */
function parseObject(json: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const reason = json.trim() === "" ? "there is none" : String(error);
    throw new CniError("decodingFailure", "the network configuration is not JSON", reason);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const text = "the network configuration is not a JSON object";
    throw new CniError("decodingFailure", text);
  }
  // A member that is null is one that is not there, as runtimes written in Go take it.
  const members = Object.entries(value).filter(
    ([key, member]) => member !== null || key.startsWith(protocolPrefix),
  );
  return Object.fromEntries(members);
}

function refuseUnsupported(object: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(object)) {
    if (Object.hasOwn(fields, key) || key.startsWith(protocolPrefix)) continue;
    throw unsupported(key, value, `known are ${Object.keys(fields).join(", ")}`);
  }
  if (!isEmpty(object["ipam"])) {
    throw unsupported("ipam", object["ipam"], "addresses are those of the Endpoint object");
  }
  if (object["ipMasq"] === false) {
    throw unsupported("ipMasq", false, "what leaves the pools is always masqueraded");
  }
  const runtimeConfig = object["runtimeConfig"];
  if (typeof runtimeConfig !== "object" || runtimeConfig === null) return;
  for (const [key, value] of Object.entries(runtimeConfig)) {
    if (usedCapabilities.has(key) || isEmpty(value)) continue;
    const hint = chainedCapabilities[key] ?? "take it out of the plugin's capabilities";
    throw unsupported(`runtimeConfig.${key}`, value, hint);
  }
}

/** Addresses alone, in canonical form: their prefix is of no interest. */
function parseAddresses(texts: readonly string[], where: string): readonly string[] {
  return texts.map((one) => {
    const address = tryParseAddress(one.replace(/\/\d+$/, ""));
    if (address === undefined) throw invalid(`${where}: expected an IP address, got ${one}`);
    return formatAddress(address);
  });
}

function parseRoutes(routes: readonly { readonly dst: string }[]): readonly string[] {
  return routes.map((route, index) => {
    const other = Object.keys(route).find((key) => key !== "dst");
    if (other !== undefined) {
      const hint = "the next hop is always the switch";
      throw unsupported(`routes[${index}].${other}`, Reflect.get(route, other), hint);
    }
    if (tryParsePrefix(route.dst) === undefined) {
      throw invalid(`routes[${index}].dst: expected a CIDR, got ${JSON.stringify(route.dst)}`);
    }
    return route.dst;
  });
}

/** Addresses by convention: `args.cni.ips` (CONVENTIONS.md). What else is in there is for others. */
function addressesOfArgs(args: unknown): readonly string[] {
  const cni: unknown =
    typeof args === "object" && args !== null ? Reflect.get(args, "cni") : undefined;
  const ips: unknown =
    typeof cni === "object" && cni !== null ? Reflect.get(cni, "ips") : undefined;
  return Array.isArray(ips) ? ips.map(String) : [];
}

function validAttachmentsOf(
  object: Readonly<Record<string, unknown>>,
): readonly AttachmentName[] | undefined {
  const key = `${protocolPrefix}valid-attachments`;
  const list = object[key];
  if (list === undefined) return undefined;
  // An empty list of a runtime written in Go.
  if (list === null) return [];
  if (!attachmentList.Check(list)) {
    throw invalid(`${key}: expected a list of {"containerID": …, "ifname": …}`);
  }
  return list.map((one) => ({ container: one.containerID, interface: one.ifname }));
}

/** @throws {CniError} saying which field is wrong, and how */
export function parseNetworkConfig(json: string): NetworkConfig {
  const object = parseObject(json);
  const version = parseCniVersion(object["cniVersion"]);
  refuseUnsupported(object);
  if (!schema.Check(object)) {
    const [error] = schema.Errors(object);
    const where = error?.instancePath.slice(1).replaceAll("/", ".") ?? "";
    throw invalid(`${where} ${error?.message ?? "is not valid"}`.trim());
  }
  const { runtimeConfig = {}, args } = object;
  const { servers, searches, options } = runtimeConfig.dns ?? {};
  const dns = {
    ...object.dns,
    ...(servers === undefined ? {} : { nameservers: servers }),
    ...(searches === undefined ? {} : { search: searches }),
    ...(options === undefined ? {} : { options }),
  };
  return {
    version,
    name: object.name,
    zone: object.zone,
    mtu: object.mtu,
    routes: object.routes === undefined ? undefined : parseRoutes(object.routes),
    dns: isEmpty(dns) ? undefined : dns,
    attachTimeoutMs: (object.attachTimeoutSeconds ?? defaultAttachTimeoutSeconds) * 1000,
    requestedAddresses: [
      ...parseAddresses(runtimeConfig.ips ?? [], "runtimeConfig.ips"),
      ...parseAddresses(addressesOfArgs(args), "args.cni.ips"),
    ],
    requestedMac: runtimeConfig.mac,
    prevResult: object.prevResult,
    validAttachments: validAttachmentsOf(object),
  };
}
