// Sending many changes as one atomic bundle: OpenFlow Switch Specification 1.5.1, section 6.9.
import type { GroupMod } from "../openflow/group.ts";
import type { BundleAdd, Message } from "../openflow/message.ts";
import { encodeMessage } from "../openflow/message.ts";
import { Writer } from "../wire/writer.ts";
import { BundleError, OpenFlowError, UnavailableError } from "./errors.ts";
import type { OpenFlowConnection } from "./openflow-connection.ts";

type Change = BundleAdd["message"];

const flags = ["atomic", "ordered"] as const;
/** Bytes to gather before they are written. Larger pieces do not make it faster; smaller ones cost system calls. */
const pieceSize = 128 * 1024;
const largestMessage = 0xffff;
const attempts = 3;

/**
 * A group that is there only within a bundle: made by its first change, named by its last but one. Open vSwitch drops a bundle
 * that it has heard nothing of for a while (`other_config:bundle-idle-timeout`, by default 10 s), and takes the next change for
 * the beginning of a new one: what was sent before is lost without a word. Then the group is unknown, and nothing is committed.
 */
const mark: GroupMod["group"] = { id: 0xfffffe00, type: "all", buckets: [] };
const markedBegin: readonly Change[] = [{ kind: "group-mod", command: "add", group: mark }];
const markedEnd: readonly Change[] = [
  { kind: "group-mod", command: "modify", group: mark },
  { kind: "group-mod", command: "delete", group: mark },
];
/** Open vSwitch's words for the change that names an unknown group, and for the commit of an unknown bundle. */
const forgotten: ReadonlySet<string> = new Set(["OFPGMFC_UNKNOWN_GROUP", "OFPBFC_BAD_ID"]);

async function control(
  connection: OpenFlowConnection,
  bundle: number,
  type: "open" | "close" | "commit" | "discard",
): Promise<void> {
  await connection.request({ kind: "bundle-control", bundle, type: `${type}-request`, flags });
}

/** Change `n` goes out under the transaction id `first + n`. */
async function add(
  connection: OpenFlowConnection,
  bundle: number,
  first: number,
  changes: readonly Change[],
): Promise<void> {
  let writer = new Writer(pieceSize + largestMessage);
  for (const [index, message] of changes.entries()) {
    encodeMessage(writer, { kind: "bundle-add", bundle, flags, message }, first + index);
    if (writer.size < pieceSize) continue;
    await connection.write(writer.view());
    // The socket still holds the old buffer.
    writer = new Writer(pieceSize + largestMessage);
  }
  await connection.write(writer.view());
}

/**
 * The switch checks each change when it is added and says nothing if it is right, so the answer to the close tells whether all are.
 * It would commit the others without the refused ones: the commit is sent only when there are none.
 * @throws {BundleError} @throws {UnavailableError} @throws {RangeError}
 */
export async function sendBundle(
  connection: OpenFlowConnection,
  changes: readonly Change[],
): Promise<void> {
  const marked = [...markedBegin, ...changes, ...markedEnd];
  for (let attempt = 0; attempt < attempts; attempt++) {
    if ((await sendOnce(connection, marked)) === "committed") return;
  }
  throw new UnavailableError(`the switch has forgotten a bundle ${attempts} times`);
}

async function sendOnce(
  connection: OpenFlowConnection,
  changes: readonly Change[],
): Promise<"committed" | "forgotten"> {
  const refusals: OpenFlowError[] = [];
  // The id of the first change names the bundle: no other bundle of this connection has it.
  const first = connection.reserve(changes.length);
  using _ = connection.watch({
    first,
    length: changes.length,
    requestAt: (index): Message => changes[index]!,
    refuse: (_index, error) => refusals.push(error),
  });
  const opened = control(connection, first, "open");
  try {
    await Promise.all([opened, add(connection, first, first, changes)]);
    await control(connection, first, "close");
    if (refusals.length === 0) {
      await control(connection, first, "commit");
      return "committed";
    }
  } catch (error) {
    // A failed commit ends the bundle; what the switch says about the discard then is of no interest.
    control(connection, first, "discard").catch(() => undefined);
    if (!(error instanceof OpenFlowError)) throw error;
    refusals.push(error);
    if (refusals.some(isForgotten)) return "forgotten";
    throw new BundleError(refusals);
  }
  await control(connection, first, "discard");
  throw new BundleError(refusals);
}

function isForgotten({ code, request }: OpenFlowError): boolean {
  const isMark = request.kind === "group-mod" && request.group.id === mark.id;
  return (isMark || request.kind === "bundle-control") && forgotten.has(code);
}
