// Other programs' packet filters that do not let a node forward: Docker and firewalld drop by default what they do not know. An
// accept in a table of one's own changes nothing about that, as every table must let a packet through. So two rules that
// accept what comes from and goes to the overlay are put in front, marked by their comment; the switch has judged it.
import { runCommand } from "../../runtime/command.ts";
import { CommandError } from "../../runtime/errors.ts";

/** By this the rules are known again. */
const comment = "isobar: judged by its policies";

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

interface Rule {
  readonly handle: number;
  readonly comment: string | undefined;
  /** Names of its expressions. */
  readonly kinds: readonly string[];
}

/** One that drops what it does not know, and could not be opened. */
export interface ClosedChain {
  /** `family table chain`. */
  readonly chain: string;
  readonly reason: string;
}

/** Opens every chain that is closed for the port; what is open stays untouched. @throws {CommandError} */
export async function openForwardChains(port: string): Promise<readonly ClosedChain[]> {
  const closed: ClosedChain[] = [];
  for (const { chain, policy } of await readForwardChains()) {
    const rules = await readRules(chain);
    if (policy !== "drop" && !endsClosed(rules)) continue;
    if (rules.filter((rule) => rule.comment === comment).length >= 2) continue;
    try {
      await runCommand(["nft", "-f", "-"], renderOpening(chain, rules, port));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      closed.push({ chain: nameOf(chain), reason: error.message });
    }
  }
  return closed;
}

/** Takes the rules out again. @throws {CommandError} */
export async function closeForwardChains(): Promise<void> {
  for (const { chain } of await readForwardChains()) {
    const lines = deletionsOf(chain, await readRules(chain));
    if (lines.length > 0) await runCommand(["nft", "-f", "-"], lines.join("\n"));
  }
}

function nameOf({ family, table, name }: Chain): string {
  return `${family} ${table} ${name}`;
}

function deletionsOf(chain: Chain, rules: readonly Rule[]): string[] {
  const own = rules.filter((rule) => rule.comment === comment);
  return own.map(({ handle }) => `delete rule ${nameOf(chain)} handle ${handle}`);
}

function renderOpening(chain: Chain, rules: readonly Rule[], port: string): string {
  const accept = (field: string): string =>
    `insert rule ${nameOf(chain)} ${field} "${port}" counter accept comment "${comment}"`;
  return [...deletionsOf(chain, rules), accept("iifname"), accept("oifname"), ""].join("\n");
}

/** A last rule that refuses whatever comes, as firewalld has it. */
function endsClosed(rules: readonly Rule[]): boolean {
  const kinds = (rules.at(-1)?.kinds ?? []).filter((kind) => kind !== "counter" && kind !== "log");
  return kinds.length === 1 && (kinds[0] === "drop" || kinds[0] === "reject");
}

async function readForwardChains(): Promise<readonly { chain: Chain; policy: string }[]> {
  const chains = await readNft(["list", "chains"], "chain");
  return chains
    .filter(
      ({ hook, type, family, table }) =>
        hook === "forward" &&
        type === "filter" &&
        (family === "ip" || family === "ip6" || family === "inet") &&
        !String(table).startsWith("isobar-"),
    )
    .map(({ family, table, name, policy }) => ({
      chain: { family: String(family), table: String(table), name: String(name) },
      policy: String(policy),
    }));
}

async function readRules(chain: Chain): Promise<readonly Rule[]> {
  const { family, table, name } = chain;
  const rules = await readNft(["list", "chain", family, table, name], "rule");
  return rules.map((rule) => ({
    handle: Number(rule["handle"]),
    comment: typeof rule["comment"] === "string" ? rule["comment"] : undefined,
    kinds: Array.isArray(rule["expr"])
      ? rule["expr"].flatMap((one: unknown) =>
          typeof one === "object" && one !== null ? Object.keys(one) : [],
        )
      : [],
  }));
}

/** The objects of a kind in what nft(8) lists: libnftables-json(5). */
async function readNft(
  command: readonly string[],
  kind: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const listing: unknown = JSON.parse(await runCommand(["nft", "-j", ...command]));
  const { nftables }: { nftables?: unknown } = { ...(typeof listing === "object" && listing) };
  if (!Array.isArray(nftables)) return [];
  return nftables.flatMap((entry: Readonly<Record<string, unknown>>) => {
    const object = entry[kind];
    return typeof object === "object" && object !== null ? [{ ...object }] : [];
  });
}
