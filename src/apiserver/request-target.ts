/** What a path below /api or /apis is about. */
export interface RequestTarget {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

const namespaceSubresources = new Set(["status", "finalize"]);

/**
 * Reads `/api/V/...` and `/apis/G/V/...` with at least a resource; undefined for every other path. `namespaces/N` by itself
 * is the namespace, before more segments it is where they are.
 */
export function parseRequestTarget(path: string): RequestTarget | undefined {
  const segments = decodeSegments(path);
  if (segments === undefined) return undefined;
  const [root, ...rest] = segments;
  const group = root === "api" ? "" : rest.shift();
  const version = rest.shift();
  if ((root !== "api" && root !== "apis") || group === undefined || version === undefined) {
    return undefined;
  }
  const [first, second, third] = rest;
  const isPlace =
    first === "namespaces" && third !== undefined && !namespaceSubresources.has(third);
  const [plural, name, subresource, ...more] = isPlace ? rest.slice(2) : rest;
  if (plural === undefined || more.length > 0) return undefined;
  return {
    group,
    version,
    plural,
    ...(isPlace && second !== undefined && { namespace: second }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  };
}

function decodeSegments(path: string): string[] | undefined {
  try {
    const segments = path.split("/").slice(1).map(decodeURIComponent);
    if (segments.at(-1) === "") segments.pop();
    return segments.includes("") ? undefined : segments;
  } catch {
    return undefined;
  }
}
