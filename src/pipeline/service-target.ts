// Virtual addresses and what is behind them, read from a service's resources.
import type { FrontendScope } from "../model/service.ts";
import { type Address, formatAddress, tryParseAddress } from "../net/address.ts";
import type { PortProtocol } from "../net/protocol.ts";
import type { BackendResource, ServiceResource } from "../southbound/resources.ts";

/** Where connections to one virtual address and port, or to one backend, go. */
export interface Target {
  readonly domain: string;
  readonly protocol: PortProtocol;
  readonly address: Address;
  readonly port: number;
}

export interface FrontendTarget extends Target {
  readonly scope: FrontendScope;
}

/** What cannot be read, or is of another family, is left out: nothing goes there. */
export function targetOf(
  { domain, protocol, family }: ServiceResource,
  { address: text, port }: Pick<BackendResource, "address" | "port">,
): Target | undefined {
  const address = tryParseAddress(text);
  return address?.family === family ? { domain, protocol, address, port } : undefined;
}

export function addressKeyOf({ domain, address }: Target): string {
  return `${domain} ${formatAddress(address)}`;
}

export function keyOf(target: Target): string {
  return `${addressKeyOf(target)} ${target.protocol} ${target.port}`;
}

export function frontendsOf(service: ServiceResource): readonly FrontendTarget[] {
  return service.frontends.flatMap((frontend) => {
    const target = targetOf(service, frontend);
    return target === undefined ? [] : [{ ...target, scope: frontend.scope }];
  });
}

/** Stands for the port at every node. */
export function nodePortKeyOf({ domain, family, protocol, nodePort }: ServiceResource): string {
  return `${domain} nodes ${family} ${protocol} ${nodePort}`;
}

/** All that one service alone may have. */
export function claimsOf(service: ServiceResource): readonly string[] {
  const frontends = frontendsOf(service).map(keyOf);
  return service.nodePort === undefined ? frontends : [...frontends, nodePortKeyOf(service)];
}
