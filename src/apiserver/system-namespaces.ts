import { StatusError } from "../apimachinery/errors.ts";
import { decodeObject } from "../apimachinery/object.ts";
import { systemNamespaces } from "./namespace-rules.ts";
import type { ObjectService } from "./object-service.ts";

/** Makes the namespaces that are always there, if the server has namespaces. */
export async function ensureSystemNamespaces(service: ObjectService): Promise<void> {
  const kind = service.catalog.findKind("v1", "Namespace");
  if (kind === undefined) return;
  for (const name of systemNamespaces) {
    try {
      await service.create(kind, undefined, decodeObject(kind, { metadata: { name } }).object);
    } catch (error) {
      if (!(error instanceof StatusError && error.status.reason === "AlreadyExists")) throw error;
    }
  }
}
