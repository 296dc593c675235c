// DNS queries to the cluster's DNS are answered by the node while its agent lives: flows of the agent's own, which end when it
// does not renew them. Without them the queries go to the Service's backends, as to any Service.
import type { Address } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import type { Flow } from "../openflow/flow.ts";
import { encodeCookie } from "./cookie.ts";
import { buildFlow, familyFields, whereFamily, whereField, whereRegister } from "./flow-builder.ts";
import { origins } from "./registers.ts";
import { dnsPort } from "./watch-feature.ts";

export interface ResolverBeat {
  /** Number of the domain. */
  readonly domain: number;
  /** At which the node answers. */
  readonly addresses: readonly Address[];
  /** How long the flows are in force. */
  readonly seconds: number;
}

const cookie = encodeCookie({ feature: "resolver", number: 0 });

/** Before every Service: the address is then looked up as any other, and found to be the node's. */
const priority = 1_000;

export function isResolverBeat({ cookie: found }: Flow): boolean {
  return found === cookie;
}

export function renderResolverBeat({ domain, addresses, seconds }: ResolverBeat): readonly Flow[] {
  return addresses.flatMap(({ family, bits }) =>
    (["UDP", "TCP"] as const).map((protocol) => ({
      ...buildFlow({
        table: "Service",
        priority,
        cookie,
        match: [
          whereRegister("origin", origins.local),
          whereRegister("domain", domain),
          whereFamily(family),
          whereField(familyFields[family].destination, bits),
          whereField("ip_proto", protocolNumbers[protocol]),
          whereField(protocol === "UDP" ? "udp_dst" : "tcp_dst", dnsPort),
        ],
        next: "Destination",
      }),
      hardTimeoutSeconds: seconds,
    })),
  );
}
