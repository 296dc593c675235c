// What came of a NetworkPolicy, written on itself: its kind has no status, so it is annotations of our own domain.
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { networkPolicyKind } from "../kinds/network-policy.ts";
import type { Problem } from "../kubernetes/json.ts";
import type { PolicyStatus } from "./policy-realisation.ts";

/** `3/4`: in force on three of the four nodes that have a subject of the policy. */
const realisedAnnotation = "isobar.io/realised";
/** The metadata.generation that this is about. */
const generationAnnotation = "isobar.io/realised-generation";
/** Which parts are invalid and why, and which a node's switch does not take; absent when all is well. */
const problemsAnnotation = "isobar.io/problems";

const mostProblemsLength = 2_048;

/** What the writer needs to know of the object. */
export interface AnnotatedPolicy {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The annotations as they should be; `null` for one that should not be there. */
export function renderAnnotations(
  { generation }: Pick<AnnotatedPolicy, "generation">,
  { realised, nodes, refusals }: PolicyStatus,
  problems: readonly Problem[],
): Readonly<Record<string, string | null>> {
  const parts = [
    ...problems.map(({ field, message }) => `${field}: ${message}, so this part matches nothing`),
    ...refusals.map(({ node, message }) => `node ${node}: ${message}`),
  ];
  const text = parts.join("; ");
  const cut =
    text.length > mostProblemsLength ? `${text.slice(0, mostProblemsLength - 3)}...` : text;
  return {
    [realisedAnnotation]: `${realised}/${nodes}`,
    [generationAnnotation]: generation === undefined ? null : String(generation),
    [problemsAnnotation]: parts.length === 0 ? null : cut,
  };
}

/**
 * Writes what differs, and nothing when nothing does. The patch names only these annotations and the object's uid, so it
 * never stands against anyone else's change, nor hits another policy of the name. Rejects with what the server says but for
 * a policy that is gone.
 */
export async function writeAnnotations(
  client: ApiClient,
  { namespace, name, uid, annotations }: AnnotatedPolicy,
  wanted: Readonly<Record<string, string | null>>,
): Promise<boolean> {
  const changed = Object.entries(wanted).filter(
    ([key, value]) => (annotations[key] ?? null) !== value,
  );
  if (changed.length === 0) return false;
  const body = { metadata: { uid, annotations: Object.fromEntries(changed) } };
  try {
    const patch = { type: "merge-patch+json", body } as const;
    await client.patch(networkPolicyKind, { namespace, name }, patch);
    return true;
  } catch (error) {
    const isOther = error instanceof StatusError && [404, 409, 422].includes(error.status.code);
    if (!isOther) throw error;
    return false;
  }
}
