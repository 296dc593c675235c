// Says hello to a controller as the agent of a node: say-hello.ts NODE DIRECTORY. The directory has what controllers publish
// and the file `token`. Prints `served`, or why not.
import { join } from "node:path";
import { ControllerDirectory } from "../../src/agent/controller-directory.ts";
import { ControllerLink } from "../../src/agent/controller-link.ts";
import { createLog } from "../../src/runtime/log.ts";

const [node = "", directory = ""] = process.argv.slice(2);

function answer(text: string): void {
  process.stdout.write(`${text}\n`, () => process.exit());
}

const log = createLog({
  name: "hello",
  stream: {
    write: (line) => {
      const { reason } = JSON.parse(line);
      if (typeof reason === "string") answer(reason);
    },
  },
});
const access = { controllers: [], directory, tokenFile: join(directory, "token") };
const link = new ControllerLink({
  node,
  directory: new ControllerDirectory(access, log),
  log,
  have: () => ({}),
  onDelta: async () => {
    answer("served");
    return [];
  },
});
await link.run(AbortSignal.timeout(20_000));
answer("nothing was heard");
