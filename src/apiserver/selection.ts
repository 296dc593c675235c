import type { KindDefinition } from "../apimachinery/kind.ts";
import {
  checkFieldSelector,
  matchesFieldSelector,
  parseFieldSelector,
} from "../apimachinery/field-selector.ts";
import { matchesSelector, parseSelector } from "../apimachinery/selector.ts";
import type { KeyValue } from "../store/store.ts";
import { parsing } from "./api-request.ts";
import { viewObject } from "./object-codec.ts";

export type Selection = (entry: KeyValue) => boolean;

/** What labelSelector and fieldSelector choose; undefined when they choose everything. @throws {StatusError} 400 */
export function selectionOf(
  kind: KindDefinition,
  query: URLSearchParams,
  name: string | undefined,
): Selection | undefined {
  const labels = parsing(() => parseSelector(query.get("labelSelector") ?? ""));
  const fields = parsing(() => {
    const selector = parseFieldSelector(query.get("fieldSelector") ?? "");
    checkFieldSelector(kind, selector);
    return selector;
  });
  if (labels.length === 0 && fields.length === 0 && name === undefined) return undefined;
  return (entry) => {
    const object = viewObject(entry);
    return (
      (name === undefined || object.metadata.name === name) &&
      matchesSelector(labels, object.metadata.labels) &&
      matchesFieldSelector(kind, fields, object)
    );
  };
}
