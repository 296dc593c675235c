// From one version of a group to the next in as few messages as its changed buckets need: OpenFlow Switch Specification
// 1.5.1, section 7.3.4.3. A group is larger than a message can be, so its buckets come piece by piece.
import { type Group, type GroupMod, bucketPosition } from "./group.ts";

type Bucket = Group["buckets"][number];

/** Buckets in one message. One of few actions takes about 60 bytes, a message holds 65,535. */
const pieceLength = 500;

function isSame(a: Bucket, b: Bucket | undefined): boolean {
  return b !== undefined && bucketBody(a) === bucketBody(b);
}

function bucketBody(bucket: Bucket): string {
  return JSON.stringify(bucket, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
}

/** Equal for groups of one type whose buckets are equal, in any order. */
export function groupBody({ type, buckets }: Group): string {
  return `${type} ${buckets.map(bucketBody).toSorted().join()}`;
}

function insertions(id: number, type: Group["type"], buckets: readonly Bucket[]): GroupMod[] {
  const messages: GroupMod[] = [];
  for (let at = 0; at < buckets.length; at += pieceLength) {
    messages.push({
      kind: "group-mod",
      command: "insert-bucket",
      commandBucket: bucketPosition.last,
      group: { id, type, buckets: buckets.slice(at, at + pieceLength) },
    });
  }
  return messages;
}

/** What makes the group what it should be, whatever it was; one that is not there is `undefined`. */
export function groupChanges(
  before: Group | undefined,
  after: Group | undefined,
): readonly GroupMod[] {
  if (after === undefined) {
    if (before === undefined) return [];
    const group = { id: before.id, type: before.type, buckets: [] };
    return [{ kind: "group-mod", command: "delete", group }];
  }
  const { id, type, buckets } = after;
  if (before?.type !== type) {
    const group = { id, type, buckets: buckets.slice(0, pieceLength) };
    const first: GroupMod = { kind: "group-mod", command: "add-or-modify", group };
    return [first, ...insertions(id, type, buckets.slice(pieceLength))];
  }
  const old = new Map(before.buckets.map((bucket) => [bucket.id, bucket]));
  const wanted = new Map(buckets.map((bucket) => [bucket.id, bucket]));
  const removals = before.buckets
    .filter((bucket) => !isSame(bucket, wanted.get(bucket.id)))
    .map((bucket): GroupMod => ({
      kind: "group-mod",
      command: "remove-bucket",
      commandBucket: bucket.id,
      group: { id, type, buckets: [] },
    }));
  const added = buckets.filter((bucket) => !isSame(bucket, old.get(bucket.id)));
  return [...removals, ...insertions(id, type, added)];
}
