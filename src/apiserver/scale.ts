// The scale subresource (autoscaling/v1 Scale): the number of replicas, for kinds that have spec.replicas.
import { StatusError } from "../apimachinery/errors.ts";
import { isObject, type JsonObject } from "../apimachinery/json.ts";
import type { KubeObject } from "../apimachinery/kind.ts";
import type { Schema } from "../apimachinery/schema.ts";
import { formatSelector, type LabelSelectorObject, selectorOf } from "../apimachinery/selector.ts";
import { badRequest } from "../apimachinery/status.ts";

export const scaleSchema: Schema = {
  type: "object",
  properties: { spec: { type: "object", properties: { replicas: { type: "integer" } } } },
};

export function renderScale({ metadata, ...object }: Readonly<KubeObject>): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const spec = isObject(object.spec) ? object.spec : {};
  const status = isObject(object.status) ? object.status : {};
  const selector: LabelSelectorObject = isObject(spec["selector"]) ? spec["selector"] : {};
  return {
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: spec["replicas"] ?? 0 },
    status: {
      replicas: status["replicas"] ?? 0,
      selector: formatSelector(selectorOf(selector)),
    },
  };
}

/** Takes over what a Scale says of an object, which it changes. @throws {StatusError} 400 */
export function applyScale(object: KubeObject, scale: unknown): KubeObject {
  const { metadata, spec } = isObject(scale) ? scale : {};
  const replicas = isObject(spec) ? (spec["replicas"] ?? 0) : undefined;
  if (typeof replicas !== "number") {
    throw new StatusError(badRequest("expected a Scale with spec.replicas"));
  }
  const revision = isObject(metadata) ? metadata["resourceVersion"] : undefined;
  if (typeof revision === "string" && revision !== "") object.metadata.resourceVersion = revision;
  object.spec = { ...(isObject(object.spec) ? object.spec : {}), replicas };
  return object;
}
