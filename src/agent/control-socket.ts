import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { UnavailableError } from "../switch/errors.ts";

/**
 * Path of the control socket of the ovs-vswitchd whose run directory it is: named after its process as the daemon does
 * by itself, or without a number. Of several the one of the process in the pid file.
 * @throws {UnavailableError} when there is none.
 */
export function findControlSocket(rundir: string): string {
  const names = readdirSync(rundir).filter((name) => /^(ovs-)?vswitchd(\.\d+)?\.ctl$/.test(name));
  const running = names.length > 1 ? `ovs-vswitchd.${pidOf(rundir)}.ctl` : "";
  const name = names.find((one) => one === running) ?? names[0];
  if (name === undefined)
    throw new UnavailableError(`no control socket of ovs-vswitchd in ${rundir}`);
  return join(rundir, name);
}

function pidOf(rundir: string): string {
  try {
    return readFileSync(join(rundir, "ovs-vswitchd.pid"), "utf8").trim();
  } catch {
    return "";
  }
}
