// Finding the selectors of a label set, and the label sets of a selector, without trying them all: both are filed under
// tokens, such that a selector can match only label sets with which it shares one. Tokens only narrow the search;
// whoever asks must still try the selector.
import type { Labels } from "../model/endpoint.ts";
import type { LabelSelector } from "../model/policy.ts";

/** Every label set has it. */
const anyToken = "";

/** A token for the label set itself, for each key, and for each key with its value. */
export function tokensOf(labels: Labels): readonly string[] {
  const tokens = [anyToken];
  for (const [key, value] of Object.entries(labels)) tokens.push(key, `${key}=${value}`);
  return tokens;
}

/** The tokens of one requirement of the selector, the narrowest: what it matches has at least one of them. */
export function anchorsOf({ matchLabels, matchExpressions }: LabelSelector): readonly string[] {
  for (const [key, value] of Object.entries(matchLabels)) return [`${key}=${value}`];
  const values = matchExpressions.find(({ operator }) => operator === "In");
  if (values !== undefined) {
    return [...new Set(values.values)].map((value) => `${values.key}=${value}`);
  }
  return [matchExpressions.find(({ operator }) => operator === "Exists")?.key ?? anyToken];
}
