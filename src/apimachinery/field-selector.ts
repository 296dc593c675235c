// Field selectors: `status.phase=Running,spec.nodeName!=node-1` (k8s.io/apimachinery/pkg/fields).
import { SelectorError } from "./errors.ts";
import type { KindDefinition, KubeObject } from "./kind.ts";

interface FieldRequirement {
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

export type FieldSelector = readonly FieldRequirement[];

/** Cuts at commas; a backslash takes the next sign's meaning away. */
function splitTerms(text: string): string[] {
  return text.match(/(\\[^]|[^,\\])+/g) ?? [];
}

/** A comma, an equals sign and a backslash in a value are written with a backslash before them. */
function unescape(value: string, selector: string): string {
  return value.replaceAll(/\\([^]?)|[=,]/g, (sequence, escaped: string | undefined) => {
    if (escaped !== undefined && /^[\\,=]$/.test(escaped)) return escaped;
    throw new SelectorError(
      `invalid field selector: '${selector}': invalid sequence '${sequence}'`,
    );
  });
}

/** @throws {SelectorError} */
export function parseFieldSelector(text: string): FieldSelector {
  return splitTerms(text).map((term) => {
    const match = /^(?<field>[^]*?)(?<operator>!=|==|=)(?<value>[^]*)$/.exec(term);
    if (match?.groups === undefined) {
      throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    }
    const { field = "", operator, value = "" } = match.groups;
    return { field, operator: operator === "!=" ? "!=" : "=", value: unescape(value, text) };
  });
}

type Fields = Pick<KindDefinition, "selectableFields">;

function fieldValue(kind: Fields, object: KubeObject, field: string): string {
  if (field === "metadata.name") return object.metadata.name;
  if (field === "metadata.namespace") return object.metadata.namespace ?? "";
  return Object.hasOwn(kind.selectableFields, field)
    ? (kind.selectableFields[field]?.(object) ?? "")
    : "";
}

/** @throws {SelectorError} naming the first field that the kind cannot be selected by. */
export function checkFieldSelector(kind: Fields, selector: FieldSelector): void {
  for (const { field } of selector) {
    const known = field === "metadata.name" || field === "metadata.namespace";
    if (!known && !Object.hasOwn(kind.selectableFields, field)) {
      throw new SelectorError(`field label not supported: ${field}`);
    }
  }
}

/** Fields that the kind does not know count as empty; `checkFieldSelector` refuses them first. */
export function matchesFieldSelector(
  kind: Fields,
  selector: FieldSelector,
  object: KubeObject,
): boolean {
  return selector.every(
    ({ field, operator, value }) =>
      (fieldValue(kind, object, field) === value) === (operator === "="),
  );
}
