// Digests of resources: how agent and controller find out, after a reconnect, what differs.
import type { Resource } from "./resources.ts";

type PropertyOf<Value> = Value extends readonly (infer Item)[]
  ? PropertyOf<Item>
  : Value extends object
    ? keyof Value | { [Key in keyof Value]-?: PropertyOf<Value[Key]> }[keyof Value]
    : never;

/** Every property of a resource and of what it holds, in the order in which a digest reads them. */
const properties: Readonly<Record<PropertyOf<Resource>, true>> = {
  kind: true,
  id: true,
  vni: true,
  pools: true,
  unmasqueraded: true,
  serviceCidrs: true,
  domain: true,
  node: true,
  addresses: true,
  mac: true,
  uids: true,
  identity: true,
  ingress: true,
  egress: true,
  identities: true,
  networks: true,
  domainNames: true,
  cidr: true,
  except: true,
  direction: true,
  tier: true,
  priority: true,
  action: true,
  subjects: true,
  peers: true,
  ports: true,
  protocol: true,
  from: true,
  to: true,
  policy: true,
  ruleIndex: true,
  frontends: true,
  address: true,
  port: true,
  service: true,
  ready: true,
  name: true,
  portName: true,
  family: true,
  scope: true,
  nodePort: true,
  internalPolicy: true,
  externalPolicy: true,
  affinitySeconds: true,
  healthCheckNodePort: true,
  sourceRanges: true,
  zones: true,
  nodes: true,
  weight: true,
  zone: true,
  dns: true,
  ttlSeconds: true,
  upstreams: true,
  forwarders: true,
  servers: true,
  alias: true,
  record: true,
  hostname: true,
  interfaces: true,
  checkers: true,
  path: true,
  host: true,
  statuses: true,
  intervalMs: true,
  timeoutMs: true,
  healthyThreshold: true,
  unhealthyThreshold: true,
};
const propertyOrder = Object.keys(properties);

/** MurmurHash3's finalizer, as 8 hexadecimal digits: each input bit changes each output bit with even odds. */
function avalanche(lane: number): string {
  let mixed = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0).toString(16).padStart(8, "0");
}

/** Two 32-bit lanes over the UTF-16 units of the text, FNV-1a and a rotated sum, as 16 hexadecimal digits. */
export function hashOf(text: string): string {
  let first = 0x811c9dc5;
  let second = 0x9e3779b9 ^ text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    first = Math.imul(first ^ unit, 0x01000193);
    second = Math.imul(second + unit, 0x85ebca6b);
    second = (second << 13) | (second >>> 19);
  }
  return avalanche(first) + avalanche(second);
}

/**
 * Sixteen hexadecimal digits that are equal for equal content, whatever the order of the properties. It tells two
 * versions of *one* resource apart and is not made to withstand an adversary.
 */
export function digestOf(resource: Resource): string {
  return hashOf(JSON.stringify(resource, propertyOrder));
}
