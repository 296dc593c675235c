// What is written down in a Domain about its pools: which parts were promised to a namespace whose Network is being made,
// and which rest after their Network has gone. A part is written down before the Network is made, under the version that
// was read: two writers cannot promise the same part, and one who dies in between leaves a promise that ends by itself.

export interface DomainLedgerStatus {
  readonly claims?:
    | readonly { readonly cidrs: readonly string[]; readonly until: string }[]
    | undefined;
  readonly lastCut?: readonly string[] | undefined;
}

export class DomainLedger {
  /** CIDR → until when it is not given out, in milliseconds since 1970. */
  readonly claims: Map<string, number>;
  /** The CIDRs given out last, one of each family: the next search goes on behind them. */
  lastCut: readonly string[];
  changed = false;

  private constructor(claims: Map<string, number>, lastCut: readonly string[]) {
    this.claims = claims;
    this.lastCut = lastCut;
  }

  static parse(status: DomainLedgerStatus | undefined): DomainLedger {
    const claims = new Map<string, number>();
    for (const { cidrs, until } of status?.claims ?? []) {
      const untilMs = Date.parse(until);
      if (Number.isNaN(untilMs)) continue;
      for (const cidr of cidrs) claims.set(cidr, Math.max(untilMs, claims.get(cidr) ?? 0));
    }
    return new DomainLedger(claims, status?.lastCut ?? []);
  }

  clone(): DomainLedger {
    return new DomainLedger(new Map(this.claims), this.lastCut);
  }

  claim(cidrs: readonly string[], untilMs: number): void {
    for (const cidr of cidrs) this.claims.set(cidr, Math.max(untilMs, this.claims.get(cidr) ?? 0));
    this.changed = true;
  }

  unclaim(cidr: string): void {
    if (this.claims.delete(cidr)) this.changed = true;
  }

  prune(nowMs: number): void {
    for (const [cidr, untilMs] of this.claims) if (untilMs <= nowMs) this.claims.delete(cidr);
  }

  render(): DomainLedgerStatus {
    const byTime = new Map<number, string[]>();
    for (const [cidr, untilMs] of this.claims) {
      const second = Math.ceil(untilMs / 1000) * 1000;
      byTime.set(second, [...(byTime.get(second) ?? []), cidr]);
    }
    const claims = [...byTime]
      .toSorted(([a], [b]) => a - b)
      .map(([untilMs, cidrs]) => ({
        cidrs: cidrs.toSorted(),
        until: new Date(untilMs).toISOString().replace(/\.\d+Z$/, "Z"),
      }));
    return {
      ...(claims.length > 0 && { claims }),
      ...(this.lastCut.length > 0 && { lastCut: this.lastCut }),
    };
  }
}
