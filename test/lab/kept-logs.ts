// A lab goes when its test is over, and its logs with it. Those of a test that failed are kept, and the test says where.
import { cpSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "node:test";

/** By the labs' names, the folders of those that are up. */
const labs = new Map<string, string>();

/** From now on the lab's logs are kept when a test fails. */
export function watchLogs(lab: string, directory: string): void {
  labs.set(lab, directory);
}

/** The lab is about to go. */
export function forgetLogs(lab: string): void {
  labs.delete(lab);
}

/** Copies logs and nothing else: a lab's folder holds keys, sockets and the switches' pipes. */
function keepLogs(lab: string, directory: string): string {
  const kept = join(tmpdir(), `isobar-failed-${lab}`);
  const filter = (path: string): boolean => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isDirectory() === true || (found?.isFile() === true && path.endsWith(".log"));
  };
  cpSync(directory, kept, { recursive: true, force: true, filter });
  return kept;
}

// Benchmarks have labs too; a hook would make test files of them.
if (process.env["NODE_TEST_CONTEXT"] !== undefined) {
  afterEach((context) => {
    if (!("passed" in context) || context.passed) return;
    for (const [lab, directory] of labs) {
      context.diagnostic(`the logs of lab ${lab} are kept in ${keepLogs(lab, directory)}`);
    }
  });
}
