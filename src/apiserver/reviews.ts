// Questions that are answered and not stored: who am I, and what may I do. Everyone whom the server knows may do
// everything: there is no finer authorization.
import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import { badRequest } from "../apimachinery/status.ts";
import type { User } from "./authentication.ts";

interface ReviewKind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  answer(spec: unknown, user: User): unknown;
}

const allowed = { allowed: true, reason: "every authenticated user may do everything" };
const everything = {
  resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
  incomplete: false,
};

export const reviewKinds: readonly ReviewKind[] = [
  {
    group: "authentication.k8s.io",
    version: "v1",
    plural: "selfsubjectreviews",
    kind: "SelfSubjectReview",
    answer: (_spec, { name, groups }) => ({ userInfo: { username: name, groups } }),
  },
  {
    group: "authorization.k8s.io",
    version: "v1",
    plural: "selfsubjectaccessreviews",
    kind: "SelfSubjectAccessReview",
    answer: () => allowed,
  },
  {
    group: "authorization.k8s.io",
    version: "v1",
    plural: "selfsubjectrulesreviews",
    kind: "SelfSubjectRulesReview",
    answer: () => everything,
  },
];

export function findReview(group: string, version: string, plural: string): ReviewKind | undefined {
  return reviewKinds.find(
    (review) => review.group === group && review.version === version && review.plural === plural,
  );
}

/** The question with its answer. @throws {StatusError} 400 */
export function answerReview(review: ReviewKind, body: unknown, user: User): unknown {
  if (!isObject(body)) throw new StatusError(badRequest(`expected a ${review.kind}`));
  const { group, version, kind } = review;
  return {
    ...body,
    apiVersion: `${group}/${version}`,
    kind,
    metadata: {},
    status: review.answer(body["spec"], user),
  };
}
