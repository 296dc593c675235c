// Server-side apply: every field of an object has owners, and applying another's field is a conflict.
import { PatchError } from "./errors.ts";
import type { KindDefinition, KubeObject } from "./kind.ts";
import type { Status } from "./status.ts";

/** Who writes, from the request: `fieldManager`, the time (RFC 3339, whole seconds) and the subresource if any. */
export interface Writer {
  readonly manager: string;
  readonly time: string;
  readonly subresource?: string;
}

export type ApplyResult =
  | { readonly kind: "applied"; readonly object: KubeObject }
  /** 409 with one cause a field. */
  | { readonly kind: "conflict"; readonly status: Status };

/**
 * Applies a configuration (a decoded object without defaults) to the live object, `undefined` when it is to be created. The
 * result still has to be defaulted and validated. With `force` the fields in conflict change owner.
 */
export function applyConfiguration(
  _kind: KindDefinition,
  _live: KubeObject | undefined,
  _configuration: KubeObject,
  _options: Writer & { readonly force: boolean },
): ApplyResult {
  throw new PatchError("server-side apply is not supported yet");
}

/** Records in `next.metadata.managedFields` what a create, update or patch by `writer` changed since `old`. */
export function recordUpdate(
  _kind: KindDefinition,
  _old: KubeObject | undefined,
  _next: KubeObject,
  _writer: Writer,
): void {}
