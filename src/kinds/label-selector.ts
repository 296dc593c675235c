import { type TArray, type TObject, type TOptional, type TUnsafe, Type } from "typebox";
import { forbidden, invalid, invalidEach, required } from "../apimachinery/field-error.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import { validateLabels } from "../apimachinery/metadata.ts";
import { checkLabelValue, checkQualifiedName } from "../apimachinery/names.ts";
import type { Schema } from "../apimachinery/schema.ts";
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

const labelMapSchema = {
  type: "object",
  additionalProperties: { type: "string" },
  description: "Labels that must be there, with these values.",
} as const satisfies Schema;
type LabelMapSchema = TUnsafe<Record<string, string>> & typeof labelMapSchema;
const labelMap: LabelMapSchema = {
  ...Type.Unsafe<Record<string, string>>(labelMapSchema),
  ...labelMapSchema,
};

const expressionSchema = Type.Object({
  key: Type.String({ description: "The label." }),
  operator: Type.String({ description: "In, NotIn, Exists or DoesNotExist." }),
  values: Type.Optional(
    Type.Array(Type.String(), { description: "For In and NotIn: at least one." }),
  ),
});

type LabelSelectorSchema = TObject<{
  matchLabels: TOptional<LabelMapSchema>;
  matchExpressions: TOptional<TArray<typeof expressionSchema>>;
}>;

/** A LabelSelector of meta/v1 in an own kind. */
export function labelSelectorSchema(description: string): LabelSelectorSchema {
  return Type.Object(
    {
      matchLabels: Type.Optional(labelMap),
      matchExpressions: Type.Optional(
        Type.Array(expressionSchema, { description: "Further requirements." }),
      ),
    },
    { description },
  );
}
