// discovery.k8s.io/v1 EndpointSlice. Validation: k8s.io/kubernetes/pkg/apis/discovery/validation.
import type { V1EndpointSlice } from "@kubernetes/client-node/dist/gen/models/V1EndpointSlice.js";
import {
  duplicate,
  invalid,
  invalidEach,
  notSupported,
  required,
  tooMany,
} from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { checkDnsLabel, checkDnsSubdomain, checkPortNumber } from "../apimachinery/names.ts";
import { tryParseAddress } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { validateOrdinaryAddress } from "./address.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

type Sent = ObjectOf<V1EndpointSlice>;
type SliceEndpoint = NonNullable<Sent["endpoints"]>[number];
/** With its defaults: the list of endpoints is always there. */
export type EndpointSlice = Sent & { endpoints: SliceEndpoint[] };
type Port = NonNullable<EndpointSlice["ports"]>[number];

const addressTypes = ["FQDN", "IPv4", "IPv6"];
const protocols = Object.keys(protocolNumbers).toSorted();
const maximumEndpoints = 1000;
const maximumPorts = 20_000;
const maximumAddresses = 100;

function validateEndpointAddress(type: string, text: string, path: string): FieldError[] {
  if (type === "FQDN") return invalidEach(path, text, checkDnsSubdomain(text));
  const errors = validateOrdinaryAddress(text, path);
  const family = tryParseAddress(text)?.family;
  if (errors.length === 0 && family !== (type === "IPv4" ? 4 : 6)) {
    return [invalid(path, text, `must be an ${type} address`)];
  }
  return errors;
}

function validateEndpoint(type: string, endpoint: SliceEndpoint, path: string): FieldError[] {
  const { addresses, nodeName, hostname } = endpoint;
  const errors: FieldError[] = [];
  if (addresses.length === 0) {
    errors.push(required(`${path}.addresses`, "must contain at least 1 address"));
  } else if (addresses.length > maximumAddresses) {
    errors.push(tooMany(`${path}.addresses`, addresses.length, maximumAddresses));
  }
  for (const [index, address] of addresses.entries()) {
    errors.push(...validateEndpointAddress(type, address, `${path}.addresses[${index}]`));
  }
  if (nodeName !== undefined) {
    errors.push(...invalidEach(`${path}.nodeName`, nodeName, checkDnsSubdomain(nodeName)));
  }
  if (hostname !== undefined) {
    errors.push(...invalidEach(`${path}.hostname`, hostname, checkDnsLabel(hostname)));
  }
  return errors;
}

function validatePorts(ports: readonly Port[]): FieldError[] {
  const errors: FieldError[] = [];
  if (ports.length > maximumPorts) errors.push(tooMany("ports", ports.length, maximumPorts));
  const names = new Set<string>();
  for (const [index, { name = "", protocol, port }] of ports.entries()) {
    const path = `ports[${index}]`;
    if (name !== "") errors.push(...invalidEach(`${path}.name`, name, checkDnsLabel(name)));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (!protocol) errors.push(required(`${path}.protocol`));
    else if (!protocols.includes(protocol)) {
      errors.push(notSupported(`${path}.protocol`, protocol, protocols));
    }
    if (port !== undefined)
      errors.push(...invalidEach(`${path}.port`, port, checkPortNumber(port)));
  }
  return errors;
}

function validate(slice: EndpointSlice, old?: EndpointSlice): FieldError[] {
  const { addressType, endpoints, ports = [] } = slice;
  const errors: FieldError[] = [];
  if (addressType === "") errors.push(required("addressType"));
  else if (!addressTypes.includes(addressType)) {
    errors.push(notSupported("addressType", addressType, addressTypes));
  }
  if (old !== undefined && old.addressType !== addressType) {
    errors.push(invalid("addressType", addressType, "field is immutable"));
  }
  if (endpoints.length > maximumEndpoints) {
    errors.push(tooMany("endpoints", endpoints.length, maximumEndpoints));
  }
  for (const [index, endpoint] of endpoints.entries()) {
    errors.push(...validateEndpoint(addressType, endpoint, `endpoints[${index}]`));
  }
  return [...errors, ...validatePorts(ports)];
}

/** At most three, then how many more; `<unset>` for none, as kubectl users know it. */
function formatFew(items: readonly string[]): string {
  if (items.length === 0) return "<unset>";
  const shown = items.slice(0, 3).join(",");
  return items.length > 3 ? `${shown} + ${items.length - 3} more...` : shown;
}

function formatPort({ name, port }: Port): string {
  if (port !== undefined) return String(port);
  return name === undefined || name === "" ? "*" : name;
}

export const endpointSliceKind: KindDefinition<EndpointSlice> = {
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  singular: "endpointslice",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("discovery.EndpointSlice"),
  hasStatus: false,
  columns: [
    nameColumn,
    column("AddressType", "IPv4, IPv6 or FQDN.", ({ addressType }) => addressType),
    column("Ports", "The ports of every endpoint.", ({ ports = [] }) =>
      formatFew(ports.map(formatPort)),
    ),
    column("Endpoints", "The endpoints' addresses.", ({ endpoints }) =>
      formatFew(endpoints.flatMap(({ addresses }) => addresses)),
    ),
    ageColumn,
  ],
  selectableFields: {},
  applyDefaults: (slice) => {
    slice.endpoints ??= [];
    for (const port of slice.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
    return slice;
  },
  validate,
};
