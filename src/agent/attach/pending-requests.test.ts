import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { AttachmentName } from "../../cni/network-config.ts";
import { createLog } from "../../runtime/log.ts";
import { PendingRequests } from "./pending-requests.ts";

let folder: string;
let pending: PendingRequests;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isobar-pending-"));
  pending = new PendingRequests({ folder, log: createLog({ name: "test", level: "silent" }) });
});

afterEach(() => {
  pending[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

let notes = 0;

/** As the executable does it, whole or not at all. */
function note(container: string): void {
  const environment = { CNI_COMMAND: "DEL", CNI_CONTAINERID: container, CNI_IFNAME: "eth0" };
  const name = `${++notes}.0-1.json`;
  writeFileSync(join(folder, `.${name}`), JSON.stringify({ type: "cni", environment, config: "" }));
  renameSync(join(folder, `.${name}`), join(folder, name));
}

const none = async (): Promise<void> => await Promise.resolve();

test("a deletion is done once, also when another is noted meanwhile", async () => {
  const done: string[] = [];
  const slowly = async ({ container }: AttachmentName): Promise<void> => {
    await sleep(30);
    done.push(container);
  };
  note("a");
  note("b");
  const started = pending.start(slowly, slowly);
  await sleep(10);
  note("c");
  await started;
  await pending.settle({ container: "c", interface: "eth0" });
  await sleep(100);
  assert.deepEqual(done, ["a", "b", "c"]);
  assert.deepEqual(readdirSync(folder), []);
});

test("who attaches a container again waits for its deletion, and for no failure of another's", async () => {
  let broken = true;
  const done: string[] = [];
  await pending.start(none, async ({ container }) => {
    await sleep(30);
    if (broken && container === "broken") throw new Error("not now");
    done.push(container);
  });
  note("broken");
  note("a");
  await pending.settle({ container: "a", interface: "eth0" });
  assert.deepEqual(done, ["a"]);
  await pending.settle({ container: "broken", interface: "eth1" });
  await assert.rejects(
    pending.settle({ container: "broken", interface: "eth0" }),
    /an earlier deletion of broken eth0 is not done yet/,
  );
  broken = false;
  await pending.settle({ container: "broken", interface: "eth0" });
  assert.deepEqual(done, ["a", "broken"]);
});
