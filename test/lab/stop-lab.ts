// Tears down the lab of a test: `stop-lab.ts NAME ROOT`, where the folder ROOT is the test's own.
import { rmSync } from "node:fs";
import { labPaths } from "../../src/lab/paths.ts";
import { stopLab } from "../../src/lab/start.ts";

const [name = "", root] = process.argv.slice(2);
if (root === undefined) throw new Error("expected the name of a lab and its folder");
await stopLab(labPaths(name, root));
rmSync(root, { recursive: true, force: true });
