// Cluster addresses and node ports for Services, as k8s.io/kubernetes/pkg/registry/core/service/storage gives them out.
import { StatusError } from "../apimachinery/errors.ts";
import { invalid } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { internalError, invalidObject } from "../apimachinery/status.ts";
import { assignFamilies } from "../kinds/service-addresses.ts";
import { settleFields } from "../kinds/service-fields.ts";
import { type Service, serviceKind } from "../kinds/service.ts";
import {
  type ServiceSpec,
  allocatesNodePorts,
  hasClusterIp,
  isHeadless,
  needsHealthCheck,
  nodePortsOf,
} from "../kinds/service-type.ts";
import { formatAddress, tryParseAddress } from "../net/address.ts";
import type { Compare, Operation } from "../store/store.ts";
import type { Allocator, Reservation } from "./allocator.ts";
import { type ServicePools, addressKey, encodeHolder, portKey } from "./service-pools.ts";

const allocated = {
  address: "provided IP is already allocated",
  port: "provided port is already allocated",
} as const;

/** The API server gives each kind's rules only objects that the kind's schema has read. */
function isService(object: KubeObject): object is Service {
  return object.kind === serviceKind.kind;
}

function specOf(object: KubeObject | undefined): ServiceSpec | undefined {
  return object !== undefined && isService(object) ? object.spec : undefined;
}

/** The keys of all that the Service has been given, or has asked for and was granted. */
export function reservationKeysOf(object: KubeObject | undefined): ReadonlySet<string> {
  const spec = specOf(object);
  if (spec === undefined) return new Set();
  const keys = nodePortsOf(spec).map(portKey);
  if (spec.healthCheckNodePort) keys.push(portKey(spec.healthCheckNodePort));
  if (hasClusterIp(spec) && !isHeadless(spec)) {
    for (const text of spec.clusterIPs ?? []) {
      const address = tryParseAddress(text);
      if (address !== undefined) keys.push(addressKey(formatAddress(address)));
    }
  }
  return new Set(keys);
}

export function holderTextOf({ metadata }: KubeObject): string {
  const { uid, namespace = "", name } = metadata;
  return encodeHolder({ uid, name: `${namespace}/${name}` });
}

/** What one Service is given, while it is being found. */
class Grant {
  readonly object: Service;
  readonly spec: ServiceSpec;
  readonly #pools: ServicePools;
  /** What it has already, and what it is given now. */
  readonly #own: Set<string>;

  constructor(pools: ServicePools, object: Service, old: KubeObject | undefined) {
    this.#pools = pools;
    this.object = object;
    this.spec = object.spec ?? {};
    this.#own = new Set(reservationKeysOf(old));
  }

  async addresses(): Promise<void> {
    const { spec } = this;
    if (!hasClusterIp(spec) || isHeadless(spec)) return;
    const asked = spec.clusterIPs ?? [];
    const given: string[] = [];
    for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
      const address = asked[index] ?? "";
      given.push(
        address === "" ? await this.#pickAddress(family) : await this.#takeAddress(address),
      );
    }
    if (given.length === 0) return;
    spec.clusterIPs = given;
    spec.clusterIP = given[0] ?? "";
  }

  /** Ports of one number, of several protocols, have one node port. */
  async nodePorts(): Promise<void> {
    const { ports = [] } = this.spec;
    const byPort = new Map<number, number>();
    for (const { port, nodePort } of ports) if (nodePort) byPort.set(port, nodePort);
    for (const [index, port] of ports.entries()) {
      if (port.nodePort) {
        const refusal = await this.#takePort(port.nodePort);
        if (refusal !== undefined) {
          this.#refuse([invalid(`spec.ports[${index}].nodePort`, port.nodePort, refusal)]);
        }
      } else if (allocatesNodePorts(this.spec)) {
        port.nodePort = byPort.get(port.port) ?? (await this.#pickPort());
        byPort.set(port.port, port.nodePort);
      }
    }
  }

  async healthCheckNodePort(): Promise<void> {
    const { spec } = this;
    if (!needsHealthCheck(spec)) return;
    if (!spec.healthCheckNodePort) {
      spec.healthCheckNodePort = await this.#pickPort();
      return;
    }
    const refusal = await this.#takePort(spec.healthCheckNodePort);
    if (refusal === undefined) return;
    const what = `failed to allocate requested HealthCheck NodePort ${spec.healthCheckNodePort}`;
    throw new StatusError(internalError(`${what}: ${refusal}`));
  }

  async #pickAddress(family: string): Promise<string> {
    const address =
      family === "IPv4" || family === "IPv6"
        ? await this.#pools.pickAddress(family, this.#own)
        : undefined;
    if (address === undefined) {
      throw new StatusError(internalError("failed to allocate a serviceIP: range is full"));
    }
    this.#own.add(addressKey(address));
    return address;
  }

  async #takeAddress(text: string): Promise<string> {
    const address = tryParseAddress(text);
    // Validation has words for it.
    if (address === undefined) return text;
    const key = addressKey(formatAddress(address));
    if (this.#own.has(key)) return text;
    const isTaken = (await this.#pools.holderOf(key)) !== undefined;
    const refusal = this.#pools.refusalOfAddress(text) ?? (isTaken ? allocated.address : undefined);
    if (refusal !== undefined) {
      const detail = `failed to allocate IP ${text}: ${refusal}`;
      this.#refuse([invalid("spec.clusterIPs", this.spec.clusterIPs, detail)]);
    }
    this.#own.add(key);
    return text;
  }

  async #pickPort(): Promise<number> {
    const port = await this.#pools.pickPort(this.#own);
    if (port === undefined) {
      throw new StatusError(internalError("failed to allocate a nodePort: range is full"));
    }
    this.#own.add(portKey(port));
    return port;
  }

  async #takePort(port: number): Promise<string | undefined> {
    const key = portKey(port);
    if (this.#own.has(key)) return undefined;
    const refusal = this.#pools.refusalOfPort(port);
    if (refusal !== undefined) return refusal;
    if ((await this.#pools.holderOf(key)) !== undefined) return allocated.port;
    this.#own.add(key);
    return undefined;
  }

  #refuse(errors: readonly FieldError[]): never {
    throw new StatusError(invalidObject(serviceKind, this.object.metadata.name ?? "", errors));
  }
}

export class ServiceAllocator implements Allocator {
  readonly #pools: ServicePools;

  constructor(pools: ServicePools) {
    this.#pools = pools;
  }

  concerns({ group, kind }: KindDefinition): boolean {
    return group === serviceKind.group && kind === serviceKind.kind;
  }

  settle(next: KubeObject, old: KubeObject | undefined): void {
    const spec = specOf(next);
    if (spec === undefined) return;
    const before = specOf(old);
    settleFields(spec, before);
    const errors = assignFamilies(spec, before, this.#pools.families);
    if (errors.length === 0) return;
    throw new StatusError(invalidObject(serviceKind, next.metadata.name ?? "", errors));
  }

  async allocate(next: KubeObject, old: KubeObject | undefined): Promise<Reservation> {
    if (!isService(next)) return { compare: [], operations: [] };
    const grant = new Grant(this.#pools, next, old);
    await grant.addresses();
    await grant.nodePorts();
    await grant.healthCheckNodePort();
    const before = reservationKeysOf(old);
    const after = reservationKeysOf(next);
    const added = [...after].filter((key) => !before.has(key));
    const removed = [...before].filter((key) => !after.has(key));
    const value = holderTextOf(next);
    const released = await this.#releaseOf(removed, next);
    return {
      compare: added.map((key): Compare => ({
        key,
        target: "createRevision",
        operator: "=",
        value: 0,
      })),
      operations: [
        ...added.map((key): Operation => ({ kind: "put", key, value })),
        ...released.operations,
      ],
    };
  }

  async release(old: KubeObject): Promise<Reservation> {
    return await this.#releaseOf([...reservationKeysOf(old)], old);
  }

  /** Only the Service's own: what another one holds is never given free. */
  async #releaseOf(keys: readonly string[], { metadata }: KubeObject): Promise<Reservation> {
    const operations: Operation[] = [];
    for (const key of keys) {
      const holder = await this.#pools.holderOf(key);
      if (holder?.uid === metadata.uid) operations.push({ kind: "delete", key });
    }
    return { compare: [], operations };
  }
}
