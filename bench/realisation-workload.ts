// What is measured in realisation.bench.ts: endpoints in pairs of groups, and rules in three shapes between them.

/** Lets group "a" of a pair reach group "b" of the same pair on some TCP ports. */
export interface Rule {
  readonly pair: number;
  readonly ports: readonly number[];
}

export interface Shape {
  readonly name: string;
  /** How many pairs of groups the endpoints are spread over. */
  readonly pairs: number;
  readonly rules: readonly Rule[];
}

/** Someone who brings rules into force. All calls but `flowCount` settle once the switch has confirmed the change. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** When the last change had been stored and was still to be brought into force, on the clock of `performance.now()`. */
  readonly storedAtMs: number;
  applyRules(rules: readonly Rule[]): Promise<void>;
  removeRules(): Promise<void>;
  /** One more rule, beside those that are in force. */
  addRule(rule: Rule): Promise<void>;
  removeRule(): Promise<void>;
  /** One more endpoint in group "a" of pair 0. Its port is on the switch already. */
  addEndpoint(): Promise<void>;
  removeEndpoint(): Promise<void>;
  /** Flows on the bridge. */
  flowCount(): number;
}

export interface Endpoint {
  readonly name: string;
  /** Name of its group. */
  readonly group: string;
}

export function groupName(side: "a" | "b", pair: number): string {
  return `${side}-${pair}`;
}

/** `perSide` endpoints on either side. */
export function endpointsOf(perSide: number, pairs: number): Endpoint[] {
  return (["a", "b"] as const).flatMap((side) =>
    Array.from({ length: perSide }, (_, n) => ({
      name: `${side}-${n}`,
      group: groupName(side, n % pairs),
    })),
  );
}

/** The endpoint that comes and goes. */
export const extraEndpoint: Endpoint = { name: "extra", group: groupName("a", 0) };

/** The rule that comes and goes; its port is no other rule's. */
export const extraRule: Rule = { pair: 0, ports: [999] };

const firstPort = 1000;

export function shapesOf(rules: number): Readonly<Record<"separate" | "merged" | "pairs", Shape>> {
  const ports = Array.from({ length: rules }, (_, n) => firstPort + n);
  const pairs = Math.min(50, rules);
  return {
    separate: {
      name: `${rules} rules, one pair of groups`,
      pairs: 1,
      rules: ports.map((port) => ({ pair: 0, ports: [port] })),
    },
    merged: {
      name: `one rule, ${rules} ports`,
      pairs: 1,
      rules: [{ pair: 0, ports }],
    },
    pairs: {
      name: `${rules} rules, ${pairs} pairs of groups`,
      pairs,
      rules: ports.map((port, n) => ({ pair: n % pairs, ports: [port] })),
    },
  };
}
