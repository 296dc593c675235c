// Which Service has a virtual address and port, or a node port, that several claim. Kubernetes gives cluster addresses and node
// ports to one each; anybody may write externalIPs, and must not take with them what another Service has.
import type { Frontend, VirtualService } from "../model/service.ts";

/** The fields of a Service that decide between equal claims. */
export interface Claimant {
  /** `NAMESPACE/NAME`. */
  readonly key: string;
  /** RFC 3339: the older one keeps what it has. */
  readonly since: string;
}

interface Claim extends Claimant {
  readonly scope: Frontend["scope"];
}

function isBefore(a: Claim, b: Claim): boolean {
  if (a.scope !== b.scope) return a.scope === "cluster";
  return a.since === b.since ? a.key < b.key : a.since < b.since;
}

function frontendKey({ domain, protocol }: VirtualService, { address, port }: Frontend): string {
  return `${domain} ${protocol} ${address} ${port}`;
}

function nodePortKey({ protocol, family }: VirtualService, port: number): string {
  return `${protocol} IPv${family} node port ${port}`;
}

function claimsOf(
  claimant: Claimant,
  services: readonly VirtualService[],
): ReadonlyMap<string, Claim> {
  const claims = new Map<string, Claim>();
  for (const service of services) {
    for (const frontend of service.frontends) {
      claims.set(frontendKey(service, frontend), { ...claimant, scope: frontend.scope });
    }
    if (service.nodePort === undefined) continue;
    claims.set(nodePortKey(service, service.nodePort), { ...claimant, scope: "cluster" });
  }
  return claims;
}

/** What a Service keeps of what it claims. */
export interface Upheld {
  readonly services: readonly VirtualService[];
  /** e.g. `203.0.113.1 TCP port 80 is shop/web's`. */
  readonly conflicts: readonly string[];
}

export class ServiceClaims {
  /** What is claimed → Service → its claim. */
  readonly #claims = new Map<string, Map<string, Claim>>();
  readonly #byService = new Map<string, ReadonlyMap<string, Claim>>();

  /** O(what the Service claims). Gives the Services, without this one, that may keep more or less than before. */
  set(claimant: Claimant, services: readonly VirtualService[]): ReadonlySet<string> {
    const before = this.#byService.get(claimant.key) ?? new Map<string, Claim>();
    const after = claimsOf(claimant, services);
    const others = new Set<string>();
    for (const [key, claim] of before) {
      const next = after.get(key);
      if (next?.scope === claim.scope && next.since === claim.since) continue;
      const claims = this.#claims.get(key);
      claims?.delete(claimant.key);
      if (claims?.size === 0) this.#claims.delete(key);
      for (const other of claims?.keys() ?? []) others.add(other);
    }
    for (const [key, claim] of after) {
      const claims = this.#claims.get(key) ?? new Map<string, Claim>();
      if (claims.has(claimant.key)) continue;
      for (const other of claims.keys()) others.add(other);
      this.#claims.set(key, claims.set(claimant.key, claim));
    }
    if (after.size === 0) this.#byService.delete(claimant.key);
    else this.#byService.set(claimant.key, after);
    return others;
  }

  /** Without what is another's. */
  uphold(key: string, services: readonly VirtualService[]): Upheld {
    const conflicts: string[] = [];
    const isKept = (claim: string, what: string): boolean => {
      const owner = this.#ownerOf(claim);
      if (owner === undefined || owner === key) return true;
      conflicts.push(`${what} is ${owner}'s`);
      return false;
    };
    const upheld = services.map((service) => {
      const { protocol, nodePort } = service;
      const frontends = service.frontends.filter((frontend) =>
        isKept(
          frontendKey(service, frontend),
          `${frontend.address} ${protocol} port ${frontend.port}`,
        ),
      );
      const { nodePort: _claimed, ...rest } = { ...service, frontends };
      const keepsPort =
        nodePort !== undefined &&
        isKept(nodePortKey(service, nodePort), `${protocol} node port ${nodePort}`);
      return keepsPort ? { ...rest, nodePort } : rest;
    });
    return { services: upheld, conflicts };
  }

  /** Entries in every index; 0 when nothing is left. */
  get size(): number {
    return this.#claims.size + this.#byService.size;
  }

  #ownerOf(claim: string): string | undefined {
    let first: Claim | undefined;
    for (const each of this.#claims.get(claim)?.values() ?? []) {
      if (first === undefined || isBefore(each, first)) first = each;
    }
    return first?.key;
  }
}
