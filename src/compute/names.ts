// Names of Services and of the hosts behind headless ones, as resources of their own, so that a host that comes or goes is
// told alone.
import type { NamedHost, NamedService } from "../model/named-service.ts";
import { EncodedDelta, EncodedResource } from "../southbound/encoded.ts";
import type { InputEntry } from "./inputs.ts";
import { SharedResources } from "./shared-resources.ts";

function encodeRecord({ hosts: _told, ...rest }: NamedService): EncodedResource {
  return new EncodedResource({ kind: "record", ...rest });
}

function hostIdOf(record: string, { address, hostname }: NamedHost): string {
  return hostname === undefined ? `${record} ${address}` : `${record} ${address} ${hostname}`;
}

function encodeHosts({ id: record, hosts }: NamedService): ReadonlyMap<string, EncodedResource> {
  return new Map(
    hosts.map((host) => {
      const id = hostIdOf(record, host);
      return [id, new EncodedResource({ kind: "host", id, record, ...host })];
    }),
  );
}

export class Names {
  readonly #records = new SharedResources();
  readonly #hosts = new SharedResources();

  get size(): number {
    return this.#records.size + this.#hosts.size;
  }

  /** O(hosts of the services that changed); what is told is O(changed). */
  update(changes: readonly InputEntry<NamedService>[]): EncodedDelta {
    for (const { id, before, after } of changes) {
      this.#records.replace(this.#records.get(id), after && encodeRecord(after));
      const wanted = after === undefined ? new Map<string, never>() : encodeHosts(after);
      for (const host of before?.hosts ?? []) {
        const gone = hostIdOf(id, host);
        if (!wanted.has(gone)) this.#hosts.replace(this.#hosts.get(gone), undefined);
      }
      for (const [host, encoded] of wanted) this.#hosts.replace(this.#hosts.get(host), encoded);
    }
    return EncodedDelta.join([this.#hosts.takeDelta(), this.#records.takeDelta()]);
  }

  /** Every resource, as a delta from nothing. */
  get all(): EncodedDelta {
    return EncodedDelta.join([this.#hosts.all, this.#records.all]);
  }
}
