// Flows as text: what ovs-ofctl(8) prints and accepts, ovs-actions(7).
import { parseAddress } from "../net/address.ts";
import { formatLearn } from "./action-learn.ts";
import type { Action, Flow, Nat } from "./flow.ts";
import { formatFieldValue, formatMatch, formatSubfield } from "./format-match.ts";
import { formatPort, reservedPorts } from "./port-number.ts";

const allBytes = 0xffff;
const currentTable = 255;
const algorithms = new Map([
  [21, "ftp"],
  [69, "tftp"],
]);
const packetInReasons = ["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(".");
}

/** `name(a,b)` of the arguments that are there, or the bare name. */
function call(name: string, ...args: readonly (string | false | undefined)[]): string {
  const given = args.filter((arg) => typeof arg === "string");
  return given.length === 0 ? name : `${name}(${given.join(",")})`;
}

function named(name: string, value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : `${name}=${value}`;
}

function formatNat(nat: Nat): string {
  if (nat.type === undefined) return "nat";
  const bracket = (address: string): string =>
    parseAddress(address).family === 6 && nat.portMin !== undefined ? `[${address}]` : address;
  let range = nat.addressMin === undefined ? "" : bracket(nat.addressMin);
  if (nat.addressMax !== undefined) range += `-${bracket(nat.addressMax)}`;
  if (nat.portMin !== undefined) range += `:${nat.portMin}`;
  if (nat.portMax !== undefined) range += `-${nat.portMax}`;
  return call("nat", range === "" ? nat.type : `${nat.type}=${range}`, ...(nat.flags ?? []));
}

function formatCt(action: Extract<Action, { kind: "ct" }>): string {
  const { zone, alg } = action;
  return call(
    "ct",
    action.commit === true && "commit",
    action.force === true && "force",
    named("table", action.table),
    named("zone", typeof zone === "number" ? zone : formatSubfield(zone)),
    named("alg", alg === undefined ? undefined : (algorithms.get(alg) ?? alg)),
    action.nat && formatNat(action.nat),
    action.exec !== undefined &&
      action.exec.length > 0 &&
      `exec(${action.exec.map(formatAction).join(",")})`,
  );
}

function formatController(action: Extract<Action, { kind: "controller" }>): string {
  const { reason } = action;
  return call(
    "controller",
    named("reason", reason === undefined ? undefined : (packetInReasons[reason] ?? reason)),
    named("max_len", action.maxLength ?? allBytes),
    named("id", action.controllerId),
    action.userdata && named("userdata", hexBytes(action.userdata)),
    action.pause === true && "pause",
    named("meter_id", action.meter),
  );
}

function formatResubmit(action: Extract<Action, { kind: "resubmit" }>): string {
  const port = action.port ?? reservedPorts.inPort;
  const portText = port === reservedPorts.inPort ? "" : formatPort(port);
  const table = action.table === currentTable ? "" : String(action.table);
  return `resubmit(${portText},${table}${action.ct === true ? ",ct" : ""})`;
}

function formatOutput(action: Extract<Action, { kind: "output" }>): string {
  const toController = action.port === reservedPorts.controller && action.maxLength !== undefined;
  return toController ? `CONTROLLER:${action.maxLength}` : `output:${formatPort(action.port)}`;
}

/** There is no syntax for `unknown` actions, whose text cannot be read back, and for the `maxLength` of `output-field`. */
export function formatAction(action: Action): string {
  switch (action.kind) {
    case "output":
      return formatOutput(action);
    case "output-field":
      return `output:${formatSubfield(action.from)}`;
    case "controller":
      return formatController(action);
    case "group":
      return `group:${action.group}`;
    case "resubmit":
      return formatResubmit(action);
    case "set-field":
      return `set_field:${formatFieldValue(action.field, action.value, action.mask)}->${action.field}`;
    case "move":
      return `move:${formatSubfield(action.from)}->${formatSubfield(action.to)}`;
    case "ct":
      return formatCt(action);
    case "ct-clear":
      return "ct_clear";
    case "learn":
      return call("learn", formatLearn(action, { subfield: formatSubfield }));
    case "conjunction":
      return `conjunction(${action.id},${action.clause}/${action.clauses})`;
    case "dec-ttl":
      return "dec_ttl";
    case "push-vlan":
      return `push_vlan:0x${action.etherType.toString(16)}`;
    case "pop-vlan":
      return "pop_vlan";
    case "set-queue":
      return `set_queue:${action.queue}`;
    case "note":
      return `note:${hexBytes(action.bytes)}`;
    case "sample":
      return (
        `sample(probability=${action.probability},collector_set_id=${action.collectorSet},` +
        `obs_domain_id=${action.domain},obs_point_id=${action.point})`
      );
    case "unknown":
      return `unknown(type=${action.type},${hexBytes(action.bytes)})`;
  }
}

/** All that the flow does, `drop` when it does nothing. */
function formatActions(flow: Pick<Flow, "meter" | "actions" | "gotoTable">): string {
  const parts = flow.actions.map(formatAction);
  if (flow.meter !== undefined) parts.unshift(`meter:${flow.meter}`);
  if (flow.gotoTable !== undefined) parts.push(`goto_table:${flow.gotoTable}`);
  return parts.length === 0 ? "drop" : parts.join(",");
}

/** One line that `ovs-ofctl -O OpenFlow15 add-flow` reads back as the same flow. */
export function formatFlow(flow: Flow): string {
  const parts = [`table=${flow.table}`, `priority=${flow.priority}`];
  if (flow.cookie !== 0n) parts.unshift(`cookie=0x${flow.cookie.toString(16)}`);
  if (flow.idleTimeoutSeconds) parts.push(`idle_timeout=${flow.idleTimeoutSeconds}`);
  if (flow.hardTimeoutSeconds) parts.push(`hard_timeout=${flow.hardTimeoutSeconds}`);
  const match = formatMatch(flow.match);
  if (match !== "") parts.push(match);
  return `${parts.join(",")} actions=${formatActions(flow)}`;
}
