// What is wrong with a container's interface, as CNI's CHECK wants to know.
import { runCommand } from "../../runtime/command.ts";

/** What there is to be. */
export interface ExpectedInterface {
  /** Path of the container's network namespace. */
  readonly netns: string;
  readonly interface: string;
  readonly mac: string | undefined;
  /** Without prefix length. */
  readonly addresses: readonly string[];
  /** In CIDR form. A later plugin may have given them another next hop. */
  readonly routes: readonly string[];
}

interface LinkView {
  readonly address?: string;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local?: string }[];
}

interface RouteView {
  readonly dst?: string;
}

async function ip<View>(netns: string, ...args: readonly string[]): Promise<readonly View[]> {
  const output = await runCommand(["nsenter", `--net=${netns}`, "ip", "-json", ...args]);
  const parsed: unknown = output.trim() === "" ? [] : JSON.parse(output);
  // The program is of this machine: its output is as its manual says.
  return Array.isArray(parsed) ? (parsed as readonly View[]) : [];
}

/** ip(8) shows the route to everything as `default`, and one to a single address without its length. */
function shownForms(cidr: string): readonly string[] {
  const [address = "", length = ""] = cidr.split("/");
  if (length === "0") return ["default"];
  const width = address.includes(":") ? "128" : "32";
  return length === width ? [cidr, address] : [cidr];
}

/** One sentence for each fault. @throws {CommandError} when it cannot be found out */
export async function findInterfaceFaults(expected: ExpectedInterface): Promise<readonly string[]> {
  const { netns, interface: name, mac, addresses, routes } = expected;
  const links = await ip<LinkView & { readonly ifname?: string }>(netns, "address", "show");
  const link = links.find(({ ifname }) => ifname === name);
  if (link === undefined) return [`there is no interface ${name} in ${netns}`];
  const faults: string[] = [];
  if (mac !== undefined && link.address !== mac.toLowerCase()) {
    faults.push(`${name} has the MAC address ${link.address}, not ${mac}`);
  }
  if (link.flags?.includes("UP") !== true) faults.push(`${name} is down`);
  const present = new Set(link.addr_info?.map(({ local }) => local));
  for (const address of addresses) {
    if (!present.has(address)) faults.push(`${name} does not have the address ${address}`);
  }
  const shown = await Promise.all([
    ip<RouteView>(netns, "-4", "route", "show"),
    ip<RouteView>(netns, "-6", "route", "show"),
  ]);
  const destinations = shown.map((list) => new Set(list.map(({ dst }) => dst)));
  for (const route of routes) {
    const [v4, v6] = destinations;
    const known = route.includes(":") ? v6 : v4;
    if (!shownForms(route).some((form) => known?.has(form) === true)) {
      faults.push(`there is no route to ${route} in ${netns}`);
    }
  }
  return faults;
}
