// What an agent that comes back with some state still needs.
import { EncodedDelta, type EncodedResource, keyText } from "./encoded.ts";
import { type ResourceKey, resourceKinds } from "./resources.ts";

function parseKey(text: string): ResourceKey | undefined {
  const slash = text.indexOf("/");
  const kind = resourceKinds.find((known) => known === text.slice(0, slash));
  return kind === undefined ? undefined : { kind, id: text.slice(slash + 1) };
}

/** Deletions are applied in the reverse order of additions. */
function inOrderOfDeletion(a: ResourceKey, b: ResourceKey): number {
  return resourceKinds.indexOf(b.kind) - resourceKinds.indexOf(a.kind);
}

/**
 * The delta that leads an agent with `have` (`kind/id` → digest) to `full`: nothing for what it holds already, deletes
 * for what is no longer there. Kinds that this version does not know are left alone, and so is what `keeps` says of: whether
 * it is still there is not known.
 */
export function diffState(
  full: EncodedDelta,
  have: Readonly<Record<string, string>>,
  keeps: (key: ResourceKey) => boolean = () => false,
): EncodedDelta {
  const left = new Map(Object.entries(have));
  if (left.size === 0) return full;
  const upserts: EncodedResource[] = [];
  for (const encoded of full.upserts()) {
    const key = keyText(encoded);
    if (left.get(key) !== encoded.digest) upserts.push(encoded);
    left.delete(key);
  }
  const deletes = [...left.keys()]
    .map(parseKey)
    .filter((key) => key !== undefined)
    .filter((key) => !keeps(key));
  return EncodedDelta.of(upserts, deletes.toSorted(inOrderOfDeletion));
}
