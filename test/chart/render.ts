// The Helm chart as Helm renders it.
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

export const chart = join(import.meta.dirname, "../../deploy/chart");
export const namespace = "isobar-system";

/** Any object of a manifest. Tests know what they look at, and fail where it is something else. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Rendered = any;

let helm = "";

/** Path of Helm, built when it is missing. @throws {Error} when there is no Go to do it */
export function findHelm(): string {
  const build = join(import.meta.dirname, "../../tools/build-helm.sh");
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  helm ||= execFileSync(build, { encoding: "utf8", stdio }).trim();
  return helm;
}

/** `settings` as `--set` takes them. @throws {Error} with what Helm says */
export function renderText(settings: readonly string[] = [], version = "1.35.0"): string {
  const sets = settings.flatMap((setting) => ["--set", setting]);
  const args = ["template", "isobar", chart, "--namespace", namespace, "--kube-version", version];
  const { status, stdout, stderr } = spawnSync(findHelm(), [...args, ...sets], {
    encoding: "utf8",
  });
  if (status === 0) return stdout;
  throw new Error(stderr);
}

export function render(settings: readonly string[] = [], version?: string): Rendered[] {
  return parseAllDocuments(renderText(settings, version))
    .map((document) => {
      if (document.errors.length > 0) throw new Error(document.errors.join("\n"));
      return document.toJS();
    })
    .filter((object) => object !== null && object !== undefined);
}

/** The one object of the kind and name. */
export function find(objects: readonly Rendered[], kind: string, name: string): Rendered {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found.length === 1) return found[0];
  throw new Error(`expected one ${kind} ${name}, got ${found.length}`);
}
