// A lab's daemon; `isobar lab up` starts it.
import { Command } from "commander";
import { runDaemon } from "../lab/daemon.ts";
import { labPaths } from "../lab/paths.ts";
import { runService } from "../runtime/lifecycle.ts";
import { createLog } from "../runtime/log.ts";

interface Flags {
  readonly name: string;
  readonly root: string;
  readonly nodes: string;
}

const program = new Command("isobar-lab")
  .description("Keeps a lab running; isobar lab up starts it.")
  .requiredOption("--name <name>", "the lab's name")
  .requiredOption("--root <folder>", "folder of all labs")
  .requiredOption("--nodes <count>", "how many nodes");

const { name, root, nodes } = program.parse().opts<Flags>();
const log = createLog({ name: "lab" });
await runService({ log, graceMs: 20_000 }, async (signal) => {
  await runDaemon({ paths: labPaths(name, root), nodes: Number(nodes), log, signal });
});
