// Questions that are answered and not stored: who am I, whose token is this, and what may I do. Everyone whom the server knows may do
// everything: there is no finer authorization.
import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import { badRequest } from "../apimachinery/status.ts";
import type { Authenticator, User } from "./authentication.ts";

export interface ReviewContext {
  /** Who asks. */
  readonly user: User;
  readonly authenticator: Authenticator;
}

interface ReviewKind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  answer(spec: unknown, context: ReviewContext): unknown;
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
    answer: (_spec, { user: { name, groups, extra } }) => ({
      userInfo: { username: name, groups, extra },
    }),
  },
  {
    group: "authentication.k8s.io",
    version: "v1",
    plural: "tokenreviews",
    kind: "TokenReview",
    answer: reviewToken,
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
export function answerReview(review: ReviewKind, body: unknown, context: ReviewContext): unknown {
  if (!isObject(body)) throw new StatusError(badRequest(`expected a ${review.kind}`));
  const { group, version, kind } = review;
  return {
    ...body,
    apiVersion: `${group}/${version}`,
    kind,
    metadata: {},
    status: review.answer(body["spec"], context),
  };
}

/** @throws {StatusError} 400 */
function reviewToken(spec: unknown, { authenticator }: ReviewContext): unknown {
  const { token, audiences } = isObject(spec) ? spec : {};
  if (typeof token !== "string" || token === "") {
    throw new StatusError(badRequest("spec.token: expected the token to review"));
  }
  const asked = Array.isArray(audiences) ? audiences.map(String) : [];
  const found = authenticator.review(token, asked);
  if (found === undefined) return { user: {}, error: "the token is not known, or not for them" };
  const { name, groups, extra } = found.user;
  return {
    authenticated: true,
    user: { username: name, groups, extra },
    audiences: found.audiences,
  };
}
