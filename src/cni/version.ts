import { CniError } from "./errors.ts";

/** Versions of the specification, oldest first. The executable has the same list. */
const cniVersions = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

export type CniVersion = (typeof cniVersions)[number];

export const newestCniVersion: CniVersion = "1.1.0";

export function isCniVersion(text: unknown): text is CniVersion {
  return cniVersions.some((version) => version === text);
}

/** Whether the version has what the other brought. */
export function isSince(version: CniVersion, first: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(first);
}

/** @throws {CniError} `incompatibleVersion` */
export function parseCniVersion(value: unknown): CniVersion {
  if (isCniVersion(value)) return value;
  const got = value === undefined ? "none" : JSON.stringify(value);
  const text = `cniVersion must be one of ${cniVersions.join(", ")}; got ${got}`;
  throw new CniError("incompatibleVersion", text);
}
