import { forbidden, invalid, invalidEach, required } from "../apimachinery/field-error.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import { validateLabels } from "../apimachinery/metadata.ts";
import { checkLabelValue, checkQualifiedName } from "../apimachinery/names.ts";
import type { LabelSelectorObject } from "../apimachinery/selector.ts";

type Expression = NonNullable<LabelSelectorObject["matchExpressions"]>[number];

function validateValues({ operator, values = [] }: Expression, path: string): FieldError[] {
  switch (operator) {
    case "In":
    case "NotIn":
      return values.length > 0
        ? []
        : [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
    case "Exists":
    case "DoesNotExist": {
      const rule = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      return values.length === 0 ? [] : [forbidden(`${path}.values`, rule)];
    }
    default:
      return [invalid(`${path}.operator`, operator, "not a valid selector operator")];
  }
}

function validateExpression(expression: Expression, path: string): FieldError[] {
  const { key, values = [] } = expression;
  return [
    ...validateValues(expression, path),
    ...invalidEach(`${path}.key`, key, checkQualifiedName(key)),
    ...values.flatMap((value, index) =>
      invalidEach(`${path}.values[${index}]`, value, checkLabelValue(value)),
    ),
  ];
}

/** Checks a LabelSelector of meta/v1. */
export function validateLabelSelector(selector: LabelSelectorObject, path: string): FieldError[] {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return [
    ...validateLabels(matchLabels, `${path}.matchLabels`),
    ...matchExpressions.flatMap((expression, index) =>
      validateExpression(expression, `${path}.matchExpressions[${index}]`),
    ),
  ];
}
