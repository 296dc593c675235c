import { protocolNumbers } from "../net/protocol.ts";
import type { RuleResource } from "../southbound/resources.ts";
import { coverPortRange } from "./port-range.ts";

/** Services as the `service` register shows them: protocol in bits 16 to 23, port in bits 0 to 15. */
export interface ServiceMatch {
  /** Equal for equal matches. */
  readonly key: string;
  readonly value: number;
  readonly mask: bigint;
}

/** What a rule's ports match; none when it is for any service. */
export function servicesOf(rule: RuleResource): readonly ServiceMatch[] {
  if (rule.ports === "any") return [];
  const services = new Map<string, ServiceMatch>();
  for (const { protocol, from, to } of rule.ports) {
    for (const port of coverPortRange(from, to)) {
      const value = (protocolNumbers[protocol] << 16) | port.value;
      const mask = (0xff << 16) | port.mask;
      const key = `${value.toString(16)}/${mask.toString(16)}`;
      services.set(key, { key, value, mask: BigInt(mask) });
    }
  }
  return [...services.values()];
}
