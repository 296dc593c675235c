// Finding the selectors of a label set, and the label sets of a selector, without trying them all: both are filed under
// tokens, such that a selector can match only label sets with which it shares one. Tokens only narrow the search;
// whoever asks must still try the selector.
import type { Labels } from "../model/endpoint.ts";
import type { LabelSelector } from "../model/policy.ts";

/** Every label set has it. */
const anyToken = "";

/** A token for the label set itself, for each key, and for each key with its value. */
export function tokensOf(labels: Labels): readonly string[] {
  return [anyToken, ...Object.keys(labels), ...pairsOf(labels)];
}

/** The tokens of keys with their values. */
export function pairsOf(labels: Labels): readonly string[] {
  return Object.entries(labels).map(([key, value]) => pairToken(key, value));
}

function pairToken(key: string, value: string): string {
  return `${key}=${value}`;
}

/** Pairs of which a label set has at least one, if the selector matches it; `undefined` where it asks for no value. */
export function pairAnchorsOf({
  matchLabels,
  matchExpressions,
}: LabelSelector): readonly string[] | undefined {
  for (const [key, value] of Object.entries(matchLabels)) return [pairToken(key, value)];
  const requirement = matchExpressions.find(({ operator }) => operator === "In");
  if (requirement === undefined) return undefined;
  return [...new Set(requirement.values)].map((value) => pairToken(requirement.key, value));
}

/** Tokens of which a label set has at least one, if the selector matches it; as few label sets as may be have them. */
export function anchorsOf(selector: LabelSelector): readonly string[] {
  const pairs = pairAnchorsOf(selector);
  if (pairs !== undefined) return pairs;
  const { matchExpressions } = selector;
  return [matchExpressions.find(({ operator }) => operator === "Exists")?.key ?? anyToken];
}
