// What a check has found: good, not good and what to do, or not to be found out.

type FindingLevel = "ok" | "warning" | "error" | "unknown";

export interface Finding {
  /** What was looked at, e.g. `mtu`. */
  readonly check: string;
  readonly level: FindingLevel;
  readonly message: string;
  /** What to do about it; always there when it is not `ok`. */
  readonly action?: string;
}

export function good(check: string, message: string): Finding {
  return { check, level: "ok", message };
}

export function doubtful(check: string, message: string, action: string): Finding {
  return { check, level: "warning", message, action };
}

export function bad(check: string, message: string, action: string): Finding {
  return { check, level: "error", message, action };
}

export function unknown(check: string, message: string, action: string): Finding {
  return { check, level: "unknown", message, action };
}

/** Only errors fail a check: a warning says what will be worse than it could be. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ level }) => level === "error" || level === "unknown") ? 1 : 0;
}
