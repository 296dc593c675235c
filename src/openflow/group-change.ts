// From one version of a group to the next: OpenFlow Switch Specification 1.5.1, section 7.3.4.3.
import type { Group, GroupMod } from "./group.ts";

/** Equal for groups that select alike among equal buckets, in any order. */
export function groupBody({ type, buckets, hashFields = [], hashBasis = 0n }: Group): string {
  const bodies = buckets.map((bucket) =>
    JSON.stringify(bucket, (_, value: unknown) =>
      typeof value === "bigint" ? `${value}n` : value,
    ),
  );
  return `${type} ${hashFields.join()} ${hashBasis} ${bodies.toSorted().join()}`;
}

/**
 * Makes the group what it should be, whatever it was. All of it at once: when Open vSwitch (seen in 3.1) inserts or removes
 * single buckets, it spreads hashes over the inserted ones alone.
 */
export function setGroup(group: Group): GroupMod {
  return { kind: "group-mod", command: "add-or-modify", group };
}

export function deleteGroup({ id, type }: Pick<Group, "id" | "type">): GroupMod {
  return { kind: "group-mod", command: "delete", group: { id, type, buckets: [] } };
}
