import { parsePrefix } from "./address.ts";

/** Addresses between which nothing is routed: unspecified, loopback, multicast, broadcast, IPv6 link-local. */
export const unroutable = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "224.0.0.0/4",
  "255.255.255.255/32",
  "::/127",
  "ff00::/8",
  "fe80::/10",
].map(parsePrefix);
