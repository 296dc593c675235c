// A switch in user space gets a copy of every packet; the node's own network stack gets it as well. An endpoint that knows
// the MAC address of its port's end could send to the node, and through it, past the switch and all policies. So what
// comes in through an attachment's port is nothing for the stack: the switch has its copy before the rule is asked.
import { runCommand } from "../../runtime/command.ts";
import { listTables } from "./netfilter.ts";

/** Link group of the attachments' ports, by which the rule knows them. */
export const attachmentLinkGroup = 0x150ba2;

const table = "isobar-endpoints";

/** To be in force before the first attachment's port is up; it stays when the agent ends. @throws {CommandError} */
export async function guardKernel(): Promise<void> {
  // Declared, deleted and declared again in one transaction: the first line lets the second one always succeed.
  await runCommand(
    ["nft", "-f", "-"],
    `table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain endpoints {
    type filter hook prerouting priority raw; policy accept;
    iifgroup ${attachmentLinkGroup} drop
  }
}
`,
  );
}

/** Puts the guard back when somebody has flushed all rules. @returns whether it was gone. @throws {CommandError} */
export async function restoreGuard(): Promise<boolean> {
  if ((await listTables()).has(table)) return false;
  await guardKernel();
  return true;
}

/** For a node that has no attachments any more. @throws {CommandError} */
export async function removeKernelGuard(): Promise<void> {
  await runCommand(["nft", "-f", "-"], `table inet ${table}\ndelete table inet ${table}\n`);
}
