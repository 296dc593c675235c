// Options that several commands have.
import { Option } from "commander";
import { defaultLabName } from "../lab/paths.ts";
import { CliError } from "./errors.ts";

export function labOption(): Option {
  return new Option("-l, --lab <name>", "which lab").default(defaultLabName).env("ISOBAR_LAB");
}

/** What a lab is made of, and its files, are root's. @throws {CliError} */
export function requireRoot(): void {
  if (process.geteuid?.() !== 0)
    throw new CliError("the lab needs root: it makes network namespaces and switches");
}
