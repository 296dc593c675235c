// The types of pods and of their parts.
import type { V1Pod } from "@kubernetes/client-node/dist/gen/models/V1Pod.js";
import type { ObjectOf } from "./object-type.ts";

export type Pod = ObjectOf<V1Pod>;
export type PodSpec = NonNullable<Pod["spec"]>;
export type Container = PodSpec["containers"][number];
export type ContainerPort = NonNullable<Container["ports"]>[number];
export type Probe = NonNullable<Container["livenessProbe"]>;
export type Volume = NonNullable<PodSpec["volumes"]>[number];
