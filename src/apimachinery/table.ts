// Table objects (meta/v1): what `kubectl get` prints.
import type { KindDefinition, KubeObject } from "./kind.ts";

interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

interface TableRow {
  readonly cells: readonly (string | number | boolean)[];
  /** The object itself, its metadata alone, or nothing, as the client asked. */
  readonly object?: unknown;
}

export interface Table {
  readonly kind: "Table";
  readonly apiVersion: "meta.k8s.io/v1";
  readonly metadata: {
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly columnDefinitions: readonly TableColumn[];
  readonly rows: readonly TableRow[];
}

/** The `includeObject` parameter of a request. */
export type IncludeObject = "None" | "Metadata" | "Object";

export interface TableOptions {
  readonly now: Date;
  readonly includeObject?: IncludeObject;
  /** The list's metadata; for one object its resourceVersion. */
  readonly metadata: Table["metadata"];
}

function rowObject(object: KubeObject, include: IncludeObject): unknown {
  switch (include) {
    case "None":
      return undefined;
    case "Object":
      return object;
    case "Metadata":
      return {
        kind: "PartialObjectMetadata",
        apiVersion: "meta.k8s.io/v1",
        metadata: object.metadata,
      };
  }
}

/** The table of some objects of one kind, in the order given. */
export function renderTable(
  kind: KindDefinition,
  objects: readonly KubeObject[],
  options: TableOptions,
): Table {
  const { now, includeObject = "Metadata", metadata } = options;
  const columnDefinitions = kind.columns.map(
    ({ name, type, format = "", description, priority }) => ({
      name,
      type,
      format,
      description,
      priority,
    }),
  );
  const rows = objects.map((item): TableRow => {
    const cells = kind.columns.map((column) => column.value(item, now));
    const object = rowObject(item, includeObject);
    return object === undefined ? { cells } : { cells, object };
  });
  return { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, columnDefinitions, rows };
}
