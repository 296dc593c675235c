import { join } from "node:path";
import { LabError } from "./errors.ts";

/** Where labs keep what they need while they run; gone after a restart of the machine, as the labs themselves are. */
const defaultRoot = "/run/isobar/lab";

export const defaultLabName = "lab";

export interface LabPaths {
  readonly name: string;
  readonly root: string;
  readonly directory: string;
  /** The daemon's socket. */
  readonly socket: string;
  readonly kubeconfig: string;
  readonly log: string;
}

/** @throws {LabError} for a name that would not do as part of a network namespace's name. */
export function labPaths(name: string, root: string = defaultRoot): LabPaths {
  if (!/^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$/.test(name)) {
    throw new LabError(
      `expected a lab name of 1 to 16 lower case letters, digits and hyphens, got "${name}"`,
    );
  }
  const directory = join(root, name);
  return {
    name,
    root,
    directory,
    socket: join(directory, "lab.sock"),
    kubeconfig: join(directory, "kubeconfig"),
    log: join(directory, "lab.log"),
  };
}
