// What `kubectl apply` does on the client's side: the last applied configuration is kept in an annotation, so that fields
// that have left the manifest can be removed, and fields that it never had are left to others.
import { equalJson, isObject, type JsonObject } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import type { ApiClient } from "./api-client.ts";
import { kindOf } from "./check-manifest.ts";
import type { Manifest } from "./manifest.ts";
import { pathOf } from "./object-path.ts";

export const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

export interface Applied {
  readonly kind: KindDefinition;
  readonly outcome: "created" | "configured" | "unchanged";
  readonly object: KubeObject;
}

/**
 * Creates the object or changes it to what the manifest says. Objects without a namespace go to the client's.
 * @throws {ManifestError | StatusError | UnavailableError}
 */
export async function applyManifest(
  client: ApiClient,
  kinds: readonly KindDefinition[],
  manifest: Manifest,
): Promise<Applied> {
  const kind = kindOf(kinds, manifest);
  const modified = configurationOf(kind, manifest, client.config.namespace);
  const { name, namespace } = modified.metadata;
  const place = { name: String(name), ...(typeof namespace === "string" && { namespace }) };
  const current = await client.find(kind, place);
  if (current === undefined) {
    const { name: _name, ...collection } = place;
    const path = pathOf(kind, collection);
    const object = await client.json<KubeObject>("POST", path, { body: modified });
    return { kind, outcome: "created", object };
  }
  const patch = threeWayPatch(lastApplied(current), modified, current);
  if (equalJson(patch, {})) return { kind, outcome: "unchanged", object: current };
  const object = await client.patch(kind, place, { type: "merge-patch+json", body: patch });
  const same = object.metadata.resourceVersion === current.metadata.resourceVersion;
  return { kind, outcome: same ? "unchanged" : "configured", object };
}

/** The manifest with its namespace, and with itself in the annotation. */
function configurationOf(kind: KindDefinition, manifest: Manifest, namespace: string): Manifest {
  const metadata: JsonObject = { ...manifest.metadata };
  const { [lastAppliedAnnotation]: _old, ...annotations } = isObject(metadata["annotations"])
    ? metadata["annotations"]
    : {};
  if (kind.namespaced) metadata["namespace"] ??= namespace;
  const own = { ...manifest, metadata: { ...metadata, annotations } };
  const text = `${JSON.stringify(own)}\n`;
  return {
    ...manifest,
    metadata: { ...metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } },
  };
}

function lastApplied({ metadata }: KubeObject): unknown {
  try {
    return JSON.parse(metadata.annotations?.[lastAppliedAnnotation] ?? "{}");
  } catch {
    // Somebody has spoiled the annotation: then nothing is known to be ours to remove.
    return {};
  }
}

/**
 * A merge patch of `current`: what `modified` adds or changes, and the removal of what `original` had and `modified` has not.
 * Lists are taken as a whole; the server fills in its defaults again.
 */
export function threeWayPatch(
  original: unknown,
  modified: JsonObject,
  current: JsonObject,
): JsonObject {
  const patch: JsonObject = {};
  for (const [name, value] of Object.entries(modified)) {
    const present = current[name];
    if (isObject(value) && isObject(present)) {
      const old = isObject(original) ? original[name] : undefined;
      const part = threeWayPatch(old, value, present);
      if (Object.keys(part).length > 0) patch[name] = part;
    } else if (!equalJson(value ?? undefined, present)) {
      patch[name] = value;
    }
  }
  for (const name of Object.keys(isObject(original) ? original : {})) {
    if (!Object.hasOwn(modified, name) && Object.hasOwn(current, name)) patch[name] = null;
  }
  return patch;
}
