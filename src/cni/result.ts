// Results of ADD: CNI specification 1.1.0, section 5, and what was different before.
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { tryParseAddress } from "../net/address.ts";
import { CniError } from "./errors.ts";
import type { Dns } from "./network-config.ts";
import { type CniVersion, isSince } from "./version.ts";

interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** Path of the network namespace; absent for the node's own. */
  readonly sandbox?: string;
}

interface CniAddress {
  /** CIDR form. */
  readonly address: string;
  readonly gateway?: string;
  /** Index of its interface. */
  readonly interface?: number;
}

interface CniRoute {
  readonly dst: string;
  readonly gw?: string;
}

/** Of any version, without what only old ones have. Unknown members are kept: they are others'. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniAddress[];
  readonly routes: readonly CniRoute[];
  readonly dns: Dns | undefined;
}

const optionalText = Type.Optional(Type.String());
const optionalCount = Type.Optional(Type.Integer({ minimum: 0 }));
const schema = Compile(
  Type.Object({
    interfaces: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String(),
          mac: optionalText,
          mtu: optionalCount,
          sandbox: optionalText,
        }),
      ),
    ),
    ips: Type.Optional(
      Type.Array(
        Type.Object({ address: Type.String(), gateway: optionalText, interface: optionalCount }),
      ),
    ),
    routes: Type.Optional(Type.Array(Type.Object({ dst: Type.String(), gw: optionalText }))),
    dns: Type.Optional(
      Type.Object({
        nameservers: Type.Optional(Type.Array(Type.String())),
        domain: optionalText,
        search: Type.Optional(Type.Array(Type.String())),
        options: Type.Optional(Type.Array(Type.String())),
      }),
    ),
  }),
);

/** @throws {CniError} `invalidConfig` */
export function parsePrevResult(value: Readonly<Record<string, unknown>>): CniResult {
  const members = Object.entries(value).filter(([, member]) => member !== null);
  const given: unknown = Object.fromEntries(members);
  if (schema.Check(given)) {
    const { interfaces = [], ips = [], routes = [], dns } = given;
    return { interfaces, ips, routes, dns };
  }
  const [error] = schema.Errors(given);
  const where = error?.instancePath.replaceAll("/", ".") ?? "";
  const text = `network configuration: prevResult${where} ${error?.message ?? "is not valid"}`;
  throw new CniError("invalidConfig", text);
}

/** A plugin that is not the first of its chain adds to what those before it have made. */
export function joinResults(before: CniResult, own: CniResult): CniResult {
  const shift = before.interfaces.length;
  const ips = own.ips.map((one) =>
    one.interface === undefined ? one : { ...one, interface: one.interface + shift },
  );
  return {
    interfaces: [...before.interfaces, ...own.interfaces],
    ips: [...before.ips, ...ips],
    routes: [...before.routes, ...own.routes],
    dns: own.dns ?? before.dns,
  };
}

/** As the version has it: until 0.4.0 each address names its family, from 1.1.0 on an interface tells its MTU. */
export function renderResult(version: CniVersion, result: CniResult): object {
  const interfaces = result.interfaces.map(({ mtu, ...rest }) =>
    mtu !== undefined && isSince(version, "1.1.0") ? { ...rest, mtu } : rest,
  );
  const ips = isSince(version, "1.0.0") ? result.ips : result.ips.map(withFamily);
  const { routes, dns } = result;
  return { cniVersion: version, interfaces, ips, routes, ...(dns === undefined ? {} : { dns }) };
}

function withFamily(one: CniAddress): object {
  const address = one.address.slice(0, one.address.indexOf("/"));
  return { version: String(tryParseAddress(address)?.family ?? 4), ...one };
}
