import { type Row, numberOf, recordOf, stringOf, uuidsOf } from "../ovsdb/value.ts";
import type { RowChange } from "../ovsdb/row-cache.ts";

export interface BridgePort {
  readonly name: string;
  readonly type: string;
  /** OpenFlow port number; `undefined` until the switch has made the interface, and when it could not. */
  readonly ofport: number | undefined;
  /** Why the switch could not. */
  readonly error: string | undefined;
  readonly externalIds: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

export function bridgePort(row: Row): BridgePort {
  const ofport = numberOf(row["ofport"]);
  return {
    name: stringOf(row["name"]) ?? "",
    type: stringOf(row["type"]) ?? "",
    // The switch writes -1 beside the error.
    ofport: ofport !== undefined && ofport >= 0 ? ofport : undefined,
    error: stringOf(row["error"]),
    externalIds: recordOf(row["external_ids"]),
    options: recordOf(row["options"]),
  };
}

/** The rows that are followed. */
export interface FollowedRows {
  rows(table: string): ReadonlyMap<string, Row>;
}

/**
 * The ports of one bridge by name, kept up to date by changes of rows: Bridge names Ports, a Port its Interfaces. A change
 * costs O(what changed), but for the one of the bridge's row, whose set of ports is compared as a whole.
 */
export class BridgePorts {
  readonly #bridge: string;
  readonly #rows: FollowedRows;
  readonly #ports = new Map<string, BridgePort>();
  /** UUIDs of Port rows by the interface's name. */
  readonly #uuids = new Map<string, string>();
  readonly #names = new Map<number, string>();
  /** Of each Port row of the bridge the Interface rows, and of these the port as it is known. */
  readonly #interfaces = new Map<string, readonly string[]>();
  readonly #known = new Map<string, { readonly owner: string; port: BridgePort | undefined }>();

  constructor(bridge: string, rows: FollowedRows) {
    this.#bridge = bridge;
    this.#rows = rows;
    const all = (table: string): RowChange[] =>
      Array.from(rows.rows(table), ([uuid, after]) => ({ table, uuid, before: undefined, after }));
    this.apply([...all("Bridge"), ...all("Port"), ...all("Interface")]);
  }

  get all(): ReadonlyMap<string, BridgePort> {
    return this.#ports;
  }

  /** UUID of the row in the table Port. */
  uuidOf(name: string): string | undefined {
    return this.#uuids.get(name);
  }

  /** Name of the port that has the OpenFlow port number. */
  nameAt(ofport: number): string | undefined {
    return this.#names.get(ofport);
  }

  /** To be called when the rows have changed. @returns names of ports that are other than before */
  apply(changes: readonly RowChange[]): ReadonlySet<string> {
    const touched = new Set<string>();
    const members = new Set<string>();
    for (const { table, uuid, before, after } of changes) {
      if (table === "Bridge") for (const port of this.#movedPorts(before, after)) members.add(port);
      else if (table === "Port" && this.#interfaces.has(uuid)) members.add(uuid);
      else if (table === "Interface" && this.#known.has(uuid)) touched.add(uuid);
    }
    if (members.size > 0) {
      const present = new Set(this.#memberUuids());
      for (const uuid of members) this.#relink(uuid, present.has(uuid), touched);
    }
    return this.#refresh(touched);
  }

  /** Ports that came to the bridge or left it. */
  #movedPorts(before: Row | undefined, after: Row | undefined): readonly string[] {
    const old = new Set(this.#isOwn(before) ? uuidsOf(before["ports"]) : []);
    const now = this.#isOwn(after) ? uuidsOf(after["ports"]) : [];
    const came = now.filter((uuid) => !old.delete(uuid));
    return [...came, ...old];
  }

  #isOwn(row: Row | undefined): row is Row {
    return row !== undefined && row["name"] === this.#bridge;
  }

  #memberUuids(): readonly string[] {
    const row = [...this.#rows.rows("Bridge").values()].find((one) => this.#isOwn(one));
    return uuidsOf(row?.["ports"]);
  }

  #relink(port: string, isMember: boolean, touched: Set<string>): void {
    const row = isMember ? this.#rows.rows("Port").get(port) : undefined;
    const now = row === undefined ? [] : uuidsOf(row["interfaces"]);
    for (const uuid of [...(this.#interfaces.get(port) ?? []), ...now]) touched.add(uuid);
    if (isMember) this.#interfaces.set(port, now);
    else this.#interfaces.delete(port);
    for (const uuid of now) {
      if (this.#known.get(uuid)?.owner !== port)
        this.#known.set(uuid, { owner: port, port: undefined });
    }
  }

  #refresh(touched: ReadonlySet<string>): ReadonlySet<string> {
    const changed = new Set<string>();
    // What goes first: a name may go with one row and come with another.
    for (const uuid of touched) {
      const port = this.#known.get(uuid)?.port;
      if (port === undefined || this.#ports.get(port.name) !== port) continue;
      this.#ports.delete(port.name);
      this.#uuids.delete(port.name);
      if (port.ofport !== undefined && this.#names.get(port.ofport) === port.name) {
        this.#names.delete(port.ofport);
      }
      changed.add(port.name);
    }
    for (const uuid of touched) {
      const known = this.#known.get(uuid);
      if (known === undefined) continue;
      known.port = undefined;
      if (this.#interfaces.get(known.owner)?.includes(uuid) !== true) this.#known.delete(uuid);
      const row = this.#rows.rows("Interface").get(uuid);
      if (row === undefined || !this.#known.has(uuid)) continue;
      const port = bridgePort(row);
      known.port = port;
      this.#ports.set(port.name, port);
      this.#uuids.set(port.name, known.owner);
      if (port.ofport !== undefined) this.#names.set(port.ofport, port.name);
      changed.add(port.name);
    }
    return changed;
  }
}
