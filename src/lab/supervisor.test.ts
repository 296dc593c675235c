import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Supervisor } from "./supervisor.ts";

const folder = mkdtempSync(join(tmpdir(), "isobar-supervisor-"));
after(() => rmSync(folder, { recursive: true }));

async function until(holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 5) {
    assert.ok(waitedMs < 5_000, "it did not come to pass in time");
    await sleep(5);
  }
}

test("what dies is started again, and nothing after stop", async () => {
  const supervisor = new Supervisor();
  const pids: number[] = [];
  const logFile = join(folder, "sleeper.log");
  const command = ["sleep", "60"] as const;
  supervisor.start({ name: "sleeper", command, logFile, onStart: (pid) => pids.push(pid) });
  const [first] = pids;
  assert.ok(first !== undefined);
  process.kill(first, "SIGKILL");
  await until(() => pids.length === 2);
  const [status] = supervisor.status();
  assert.deepEqual([status?.pid, status?.restarts], [pids[1], 1]);
  await supervisor.stop();
  assert.throws(() => process.kill(pids[1] ?? 0, 0), { code: "ESRCH" });
  await sleep(150);
  assert.equal(pids.length, 2);
});

test("a start that fails is tried again, and leaves no process that is not recorded", async () => {
  const supervisor = new Supervisor();
  const pids: number[] = [];
  supervisor.start({
    name: "unlucky",
    command: ["sleep", "60"],
    logFile: join(folder, "unlucky.log"),
    onStart: (pid) => {
      pids.push(pid);
      if (pids.length === 2) throw new Error("no space left");
    },
  });
  process.kill(pids[0] ?? 0, "SIGKILL");
  await until(() => pids.length === 3);
  assert.throws(() => process.kill(pids[1] ?? 0, 0), { code: "ESRCH" });
  assert.equal(supervisor.status()[0]?.pid, pids[2]);
  await supervisor.stop();
});

test("what a process prints is in its log", async () => {
  const supervisor = new Supervisor();
  const logFile = join(folder, "speaker.log");
  supervisor.start({
    name: "speaker",
    command: ["sh", "-c", "echo out; echo err >&2; sleep 60"],
    logFile,
  });
  await until(() => readFileSync(logFile, "utf8") === "out\nerr\n");
  await supervisor.stop();
});
