// meta/v1 LabelSelector.
import type { LabelSelector, SelectorRequirement } from "../model/policy.ts";
import { isObject, labelsOf, listOf, type Problem, quoted, unknownFields } from "./json.ts";

export interface SelectorTranslation {
  /** The requirements that were understood: with `problems`, it matches more than was meant. */
  readonly selector: LabelSelector;
  readonly problems: readonly Problem[];
}

const operators = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

function translateRequirement(value: unknown, field: string): SelectorRequirement | Problem {
  if (!isObject(value)) return { field, message: `expected a requirement, got ${quoted(value)}` };
  const [extra] = unknownFields(value, ["key", "operator", "values"]);
  if (extra !== undefined) return { field: `${field}.${extra}`, message: "unknown field" };
  const { key } = value;
  if (typeof key !== "string" || key === "") {
    return { field: `${field}.key`, message: `expected a label key, got ${quoted(key)}` };
  }
  const operator = operators.find((each) => each === value["operator"]);
  if (operator === undefined) {
    const message = `expected one of ${operators.join(", ")}, got ${quoted(value["operator"])}`;
    return { field: `${field}.operator`, message };
  }
  const values = listOf(value["values"] ?? undefined);
  if (values === undefined || !values.every((each) => typeof each === "string")) {
    return { field: `${field}.values`, message: "expected a list of texts" };
  }
  const wantsValues = operator === "In" || operator === "NotIn";
  if (wantsValues !== values.length > 0) {
    const message = wantsValues ? `${operator} needs values` : `${operator} takes no values`;
    return { field: `${field}.values`, message };
  }
  return { key, operator, values };
}

/** Never throws. An absent selector is for the caller to interpret: here it matches everything, as the empty one. */
export function translateSelector(value: unknown, field: string): SelectorTranslation {
  const problems: Problem[] = [];
  const parts = value === undefined ? {} : value;
  if (!isObject(parts)) {
    problems.push({ field, message: `expected a label selector, got ${quoted(value)}` });
    return { selector: { matchLabels: {}, matchExpressions: [] }, problems };
  }
  for (const extra of unknownFields(parts, ["matchLabels", "matchExpressions"])) {
    problems.push({ field: `${field}.${extra}`, message: "unknown field" });
  }
  const matchLabels = labelsOf(parts["matchLabels"] ?? undefined);
  if (matchLabels === undefined) {
    problems.push({ field: `${field}.matchLabels`, message: "expected texts by label key" });
  }
  const expressions = listOf(parts["matchExpressions"] ?? undefined);
  if (expressions === undefined) {
    problems.push({ field: `${field}.matchExpressions`, message: "expected a list" });
  }
  const matchExpressions: SelectorRequirement[] = [];
  for (const [index, expression] of (expressions ?? []).entries()) {
    const translated = translateRequirement(expression, `${field}.matchExpressions[${index}]`);
    if ("message" in translated) problems.push(translated);
    else matchExpressions.push(translated);
  }
  return { selector: { matchLabels: matchLabels ?? {}, matchExpressions }, problems };
}
