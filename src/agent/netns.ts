import { readlink, stat, statfs } from "node:fs/promises";
import { AttachError } from "./errors.ts";

/** Magic number of the file system that namespaces are files of: linux/magic.h, NSFS_MAGIC. */
const namespaceFileSystem = 0x6e736673;

/**
 * The path must be that of a namespace, and not of the node's own.
 * @throws {AttachError} with the code
 */
export async function requireNetns(
  path: string,
  code: "no-netns" | "netns-gone" = "no-netns",
): Promise<void> {
  const what = code === "no-netns" ? "there is no network namespace" : "gone meanwhile is";
  let type: number;
  let inode: number;
  try {
    [{ type }, { ino: inode }] = await Promise.all([statfs(path), stat(path)]);
  } catch (cause) {
    throw new AttachError(code, `${what} ${path}`, { cause });
  }
  if (type !== namespaceFileSystem) throw new AttachError(code, `${what} ${path}`);
  if ((await readlink("/proc/self/ns/net")) === `net:[${inode}]`) {
    throw new AttachError(code, `${path} is the node's own network namespace`);
  }
}
