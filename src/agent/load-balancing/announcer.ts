// Tells the network outside that this node has an address: answers ARP and neighbour solicitations for it, and says so unasked when it
// begins to. Nothing in the kernel knows the address, so when the agent is gone nobody answers, and the controller has
// another node announce it.
//
// Two may announce one address for a while: a node that no controller reaches does not hear that another one is to. The one that
// has a controller is right, and the other gives way as soon as it hears of it. Two that both have one differ by a message that is on
// its way; whoever still has to announce it after a moment says so again.
import { createSocket, type Socket } from "node:dgram";
import { KernelError } from "../../kernel/errors.ts";
import { LinkSocket, type FilterInstruction } from "../../kernel/link-socket.ts";
import { readWatcher } from "../../kernel/read-watcher.ts";
import { type Family, parseAddress } from "../../net/address.ts";
import { runCommand } from "../../runtime/command.ts";
import type { Log } from "../../runtime/log.ts";
import type { AnnouncementResource } from "../../southbound/resources.ts";
import {
  type NeighbourClaim,
  decodeNeighbour,
  encodeAnnouncement,
  encodeAnswer,
} from "./neighbour-frame.ts";

export interface AnnouncerOptions {
  readonly node: string;
  readonly announcements: () => readonly AnnouncementResource[];
  /** Names of the interfaces with the node's own address. */
  readonly defaultInterfaces: () => Promise<readonly string[]>;
  /** Whether a controller keeps this node up to date. */
  readonly isFollowing: () => boolean;
  readonly log: Log;
}

/** What is announced, and where. */
export interface AnnouncedAddress {
  readonly address: string;
  readonly interfaces: readonly string[];
  /** Whether another node, which has a controller, announces it meanwhile. */
  readonly yielded: boolean;
}

/** A first announcement may be lost, or come before the one who had the address before has fallen silent. */
const repeatsMs = [0, 200, 1_000, 3_000];
/** Whoever has missed them all hears it then. */
const intervalMs = 30_000;
const defenceMs = 300;
const etherTypes = { 4: 0x0806, 6: 0x86dd } as const satisfies Record<Family, number>;

/** ICMPv6 neighbour solicitations and advertisements. Codes: linux/bpf_common.h. */
const discoveryFilter: readonly FilterInstruction[] = [
  // The IPv6 header's next header.
  { code: 0x30, jumpTrue: 0, jumpFalse: 0, value: 20 },
  { code: 0x15, jumpTrue: 0, jumpFalse: 4, value: 58 },
  // The ICMPv6 type.
  { code: 0x30, jumpTrue: 0, jumpFalse: 0, value: 54 },
  { code: 0x15, jumpTrue: 1, jumpFalse: 0, value: 135 },
  { code: 0x15, jumpTrue: 0, jumpFalse: 1, value: 136 },
  { code: 0x06, jumpTrue: 0, jumpFalse: 0, value: 0xffff },
  { code: 0x06, jumpTrue: 0, jumpFalse: 0, value: 0 },
];

interface Link {
  readonly name: string;
  readonly index: number;
  readonly mac: string;
}

/** One interface and family, with what is announced there. */
class AnnouncedLink implements Disposable {
  readonly link: Link;
  readonly family: Family;
  readonly addresses = new Set<string>();
  readonly #socket: LinkSocket;
  readonly #groups: Socket | undefined;
  readonly #log: Log;

  constructor(link: Link, family: Family, onClaim: (claim: NeighbourClaim) => void, log: Log) {
    this.link = link;
    this.family = family;
    this.#log = log;
    const filter = family === 6 ? { filter: discoveryFilter } : {};
    this.#socket = new LinkSocket({ index: link.index, etherType: etherTypes[family], ...filter });
    if (family === 6) {
      // Joins the groups at which questions arrive; nothing is received here.
      this.#groups = createSocket({ type: "udp6", reuseAddr: true });
      this.#groups.on("error", () => undefined);
      this.#groups.bind({ port: 0, exclusive: true }).unref();
    }
    readWatcher.watch(this.#socket.fd, () => this.#read(onClaim));
  }

  add(address: string): void {
    if (this.addresses.has(address)) return;
    this.addresses.add(address);
    this.#join(address, "addMembership");
  }

  remove(address: string): void {
    if (this.addresses.delete(address)) this.#join(address, "dropMembership");
  }

  announce(address: string): void {
    if (!this.addresses.has(address)) return;
    for (const frame of encodeAnnouncement(address, this.link.mac)) this.#send(frame);
  }

  [Symbol.dispose](): void {
    readWatcher.unwatch(this.#socket.fd);
    this.#socket[Symbol.dispose]();
    this.#groups?.close();
  }

  /** The solicited-node multicast address: RFC 4291 section 2.7.1. */
  #join(address: string, change: "addMembership" | "dropMembership"): void {
    if (this.#groups === undefined) return;
    const low = (parseAddress(address).bits & 0xff_ffffn).toString(16).padStart(6, "0");
    const group = `ff02::1:ff${low.slice(0, 2)}:${low.slice(2)}`;
    try {
      this.#groups[change](group, `::%${this.link.name}`);
    } catch (err) {
      // Another address has the same group; or the interface is gone, and its memberships with it.
      this.#log.debug({ err, address }, "multicast group");
    }
  }

  #read(onClaim: (claim: NeighbourClaim) => void): void {
    try {
      for (let frame = this.#socket.receive(); frame; frame = this.#socket.receive()) {
        const message = decodeNeighbour(frame);
        if (message === undefined || !this.addresses.has(message.target)) continue;
        if (message.kind === "question") this.#send(encodeAnswer(message, this.link.mac));
        else if (message.mac !== this.link.mac) onClaim(message);
      }
    } catch (err) {
      // The interface is down or gone; the next look at the node finds out.
      if (!(err instanceof KernelError)) throw err;
      this.#log.debug({ err, interface: this.link.name }, "announcements");
    }
  }

  #send(frame: Uint8Array): void {
    try {
      this.#socket.send(frame);
    } catch (err) {
      if (!(err instanceof KernelError)) throw err;
      this.#log.debug({ err, interface: this.link.name }, "announcements");
    }
  }
}

export class Announcer implements Disposable {
  readonly #options: AnnouncerOptions;
  readonly #links = new Map<string, AnnouncedLink>();
  /** Address → names of interfaces. */
  #wanted: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #yielded = new Set<string>();
  /** Interfaces that were not there when last looked for. */
  #missing: ReadonlySet<string> = new Set();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #defending = new Set<string>();
  readonly #repeating: NodeJS.Timeout;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    this.#repeating = setInterval(() => this.#announceAll(), intervalMs).unref();
  }

  /** What this node announces. */
  get addresses(): readonly AnnouncedAddress[] {
    return Array.from(this.#wanted, ([address, interfaces]) => {
      return { address, interfaces, yielded: this.#yielded.has(address) };
    });
  }

  /** Announces what is to be announced now, where it is to be. @throws {CommandError} */
  async update(): Promise<void> {
    const { announcements, node, defaultInterfaces, isFollowing } = this.#options;
    const own = announcements().filter(({ nodes }) => nodes.includes(node));
    const usual = own.length > 0 ? await defaultInterfaces() : [];
    const wanted = new Map(
      own.map(({ address, interfaces }) => [address, interfaces ?? usual] as const),
    );
    // A controller has spoken: what it says goes before what others say.
    if (isFollowing()) this.#yielded.clear();
    for (const address of this.#yielded) if (!wanted.has(address)) this.#yielded.delete(address);
    const links = await this.#readLinks(new Set([...wanted.values()].flat()));
    this.#wanted = wanted;
    this.#apply(links);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#repeating);
    for (const timer of this.#timers) clearTimeout(timer);
    for (const link of this.#links.values()) link[Symbol.dispose]();
    this.#links.clear();
  }

  #apply(links: ReadonlyMap<string, Link>): void {
    const places = this.#places(links);
    for (const [key, each] of this.#links) {
      const place = places.get(key);
      if (JSON.stringify(place?.link) !== JSON.stringify(each.link)) {
        each[Symbol.dispose]();
        this.#links.delete(key);
        continue;
      }
      for (const address of each.addresses) {
        if (place?.addresses.has(address) !== true) each.remove(address);
      }
    }
    for (const [key, { link, family, addresses }] of places) {
      const open = this.#links.get(key) ?? this.#open(key, link, family);
      if (open === undefined) continue;
      for (const address of addresses) {
        if (open.addresses.has(address)) continue;
        open.add(address);
        this.#begin(open, address);
      }
    }
  }

  /** What is to be announced on each interface, for each family. */
  #places(links: ReadonlyMap<string, Link>): ReadonlyMap<string, Place> {
    const places = new Map<string, Place>();
    for (const [address, interfaces] of this.#wanted) {
      if (this.#yielded.has(address)) continue;
      const family: Family = address.includes(":") ? 6 : 4;
      for (const name of interfaces) {
        const link = links.get(name);
        if (link === undefined) continue;
        const key = `${name} ${family}`;
        const place = places.get(key) ?? { link, family, addresses: new Set() };
        places.set(key, place);
        place.addresses.add(address);
      }
    }
    return places;
  }

  #open(key: string, link: Link, family: Family): AnnouncedLink | undefined {
    const { log } = this.#options;
    try {
      const open = new AnnouncedLink(link, family, (claim) => this.#contested(claim), log);
      this.#links.set(key, open);
      return open;
    } catch (err) {
      if (!(err instanceof KernelError)) throw err;
      log.warn({ err, interface: link.name }, "addresses cannot be announced");
      return undefined;
    }
  }

  #begin(link: AnnouncedLink, address: string): void {
    this.#options.log.info({ address, interface: link.link.name }, "announced");
    for (const delayMs of repeatsMs) this.#later(delayMs, () => link.announce(address));
  }

  /** Another one says that it has an address which this node announces. */
  #contested({ target: address, mac }: NeighbourClaim): void {
    const { isFollowing, log } = this.#options;
    if (isFollowing()) {
      if (this.#defending.has(address)) return;
      this.#defending.add(address);
      this.#later(defenceMs, () => {
        this.#defending.delete(address);
        if (!this.#wanted.has(address) || this.#yielded.has(address)) return;
        log.warn({ address, mac }, "another one claims an address that this node announces");
        for (const link of this.#links.values()) link.announce(address);
      });
      return;
    }
    log.warn({ address, mac }, "without a controller, and another one announces: giving way");
    this.#yielded.add(address);
    for (const link of this.#links.values()) link.remove(address);
  }

  #announceAll(): void {
    for (const link of this.#links.values()) {
      for (const address of link.addresses) link.announce(address);
    }
  }

  #later(delayMs: number, work: () => void): void {
    if (delayMs === 0) {
      work();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }

  async #readLinks(names: ReadonlySet<string>): Promise<ReadonlyMap<string, Link>> {
    if (names.size === 0) return new Map();
    const listing: unknown = JSON.parse(await runCommand(["ip", "-json", "link", "show", "up"]));
    const links = new Map<string, Link>();
    for (const each of Array.isArray(listing) ? listing : []) {
      const { ifname: name, ifindex: index, address: mac } = Object(each);
      const isKnown = typeof name === "string" && typeof index === "number";
      if (isKnown && typeof mac === "string" && names.has(name))
        links.set(name, { name, index, mac });
    }
    const missing = [...names].filter((name) => !links.has(name));
    for (const name of missing.filter((each) => !this.#missing.has(each))) {
      this.#options.log.warn({ interface: name }, "no such interface to announce on");
    }
    this.#missing = new Set(missing);
    return links;
  }
}

interface Place {
  readonly link: Link;
  readonly family: Family;
  readonly addresses: Set<string>;
}
