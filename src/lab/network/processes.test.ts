import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  endProcesses,
  processesIn,
  readProcess,
  recordProcess,
  recordedProcesses,
} from "./processes.ts";

test("a process is known by number and start, and unknown once it has ended", async () => {
  const child = spawn("sleep", ["100"]);
  assert.ok(child.pid !== undefined);
  const id = readProcess(child.pid);
  assert.equal(id?.command, "sleep");
  assert.match(id.startTime, /^\d+$/);
  assert.deepEqual(readProcess(child.pid), id);
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.equal(readProcess(child.pid), undefined);
});

test("a record of a number that another process has now is passed over", async () => {
  const directory = mkdtempSync(join(tmpdir(), "isobar-processes-"));
  const child = spawn("sleep", ["100"]);
  assert.ok(child.pid !== undefined);
  assert.deepEqual(recordedProcesses(directory), []);
  recordProcess(directory, child.pid);
  recordProcess(directory, 0x7fffffff);
  assert.deepEqual(
    recordedProcesses(directory).map(({ pid }) => pid),
    [child.pid],
  );
  writeFileSync(join(directory, "processes", String(child.pid)), "1\n");
  writeFileSync(join(directory, "processes", "nonsense"), "");
  assert.deepEqual(recordedProcesses(directory), []);
  child.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

test("a process that does not listen is ended all the same, in bounded time, and this one is spared", async () => {
  const script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
  const stubborn = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  await once(stubborn.stdout, "data");
  const gentle = spawn("sleep", ["100"]);
  const exits = Promise.all([once(stubborn, "exit"), once(gentle, "exit")]);
  const processes = [stubborn.pid, gentle.pid, process.pid].map((pid) => readProcess(pid ?? 0)!);
  await endProcesses(processes, 100);
  const [[, first], [, second]] = await exits;
  assert.deepEqual([first, second], ["SIGKILL", "SIGTERM"]);
});

test("no process of the caller's own network namespace is ever taken for a lab's", () => {
  assert.deepEqual(processesIn(["/proc/self/ns/net", "/nowhere"]), []);
});
