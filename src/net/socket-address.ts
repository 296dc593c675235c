import { formatAddress, tryParseAddress } from "./address.ts";

export interface SocketAddress {
  /** Canonical. */
  readonly address: string;
  readonly port: number;
}

const withPort = /^(?:\[(?<v6>[^\]]+)\]|(?<v4>[^:[\]]+)):(?<port>\d{1,5})$/;

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`; `undefined` for other text. */
export function tryParseSocketAddress(
  text: string,
  defaultPort: number,
): SocketAddress | undefined {
  const { v4, v6, port } = withPort.exec(text)?.groups ?? {};
  const host = v4 ?? v6;
  const address = tryParseAddress(host ?? text);
  if (address === undefined || (v6 !== undefined && address.family === 4)) return undefined;
  const number = port === undefined ? defaultPort : Number(port);
  if (number < 1 || number > 65_535) return undefined;
  return { address: formatAddress(address), port: number };
}
