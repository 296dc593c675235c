// Sending many changes as one atomic bundle: OpenFlow Switch Specification 1.5.1, section 6.9.
import type { BundleAdd, Message } from "../openflow/message.ts";
import { encodeMessage } from "../openflow/message.ts";
import { Writer } from "../wire/writer.ts";
import { BundleError, OpenFlowError } from "./errors.ts";
import type { OpenFlowConnection } from "./openflow-connection.ts";

type Change = BundleAdd["message"];

const flags = ["atomic", "ordered"] as const;
/** Bytes to gather before they are written. Larger pieces do not make it faster; smaller ones cost system calls. */
const pieceSize = 128 * 1024;
const largestMessage = 0xffff;

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
    if (refusals.length === 0) return await control(connection, first, "commit");
  } catch (error) {
    // A failed commit ends the bundle; what the switch says about the discard then is of no interest.
    control(connection, first, "discard").catch(() => undefined);
    throw error instanceof OpenFlowError ? new BundleError([...refusals, error]) : error;
  }
  await control(connection, first, "discard");
  throw new BundleError(refusals);
}
