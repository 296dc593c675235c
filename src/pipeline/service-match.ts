import { type PortProtocol, protocolNumbers } from "../net/protocol.ts";
import type { RuleResource } from "../southbound/resources.ts";
import { coverPortRange } from "./port-range.ts";

/** What the `service` register holds for a fragment other than the first, which shows no ports. */
export const laterFragment = 1 << 24;
const allBits = 0x1ffffff;
const noPort = 0x1ff0000;

/** What the `service` register holds for a protocol, without the port. */
export function serviceOf(protocol: PortProtocol): number {
  return protocolNumbers[protocol] << 16;
}

/** A part of the services that the `service` register can show. */
export interface ServiceMatch {
  /** Equal for equal matches. */
  readonly key: string;
  readonly value: number;
  readonly mask: bigint;
}

function serviceMatch(value: number, mask: number): ServiceMatch {
  const key = `${value.toString(16)}/${mask.toString(16)}`;
  return { key, value, mask: BigInt(mask) };
}

/**
 * What a rule's ports match; none when it is for any service. A later fragment matches every rule with ports: it leaves the
 * node only with its first fragment, which must be admitted by its port, as conntrack lets no incomplete datagram pass.
 */
export function servicesOf(rule: RuleResource): readonly ServiceMatch[] {
  if (rule.ports === "any") return [];
  const matches: ServiceMatch[] = [];
  for (const { protocol, from, to } of rule.ports) {
    for (const port of coverPortRange(from, to)) {
      matches.push(serviceMatch(serviceOf(protocol) | port.value, noPort | port.mask));
    }
  }
  if (matches.length > 0) matches.push(serviceMatch(laterFragment, allBits));
  return [...new Map(matches.map((match) => [match.key, match])).values()];
}
