// Events: what happened to an object. core/v1 Event is what kubectl describes objects with, events.k8s.io/v1 Event what
// `kubectl get events.events.k8s.io` and newer clients write. They are two kinds here and not two views of one.
import type { CoreV1Event } from "@kubernetes/client-node/dist/gen/models/CoreV1Event.js";
import type { EventsV1Event } from "@kubernetes/client-node/dist/gen/models/EventsV1Event.js";
import { formatAge } from "../apimachinery/duration.ts";
import { invalid, required } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { column, nameColumn, wideColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type Event = ObjectOf<CoreV1Event>;
export type EventsEvent = ObjectOf<EventsV1Event>;

/** An event belongs to the namespace of what it is about; events of cluster-scoped objects are in `default`. */
function validateNamespace(
  about: string | undefined,
  own: string | undefined,
  field: string,
): FieldError[] {
  const expected = about === undefined || about === "" ? "default" : about;
  if (own === expected || (own === "kube-system" && expected === "default")) return [];
  return [invalid(field, about ?? "", "does not match event.namespace")];
}

/** `pod/web-1`, as kubectl writes references. */
function formatReference(reference: { kind?: string; name?: string } | undefined): string {
  const { kind = "", name = "" } = reference ?? {};
  return `${kind.toLowerCase()}/${name}`;
}

function formatSource(component = "", host = ""): string {
  return host === "" ? component : `${component}, ${host}`;
}

function lastSeen(event: Event): string | undefined {
  const { series, lastTimestamp, firstTimestamp, eventTime } = event;
  return series?.lastObservedTime ?? lastTimestamp ?? firstTimestamp ?? eventTime;
}

export const eventKind: KindDefinition<Event> = {
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("core.Event"),
  hasStatus: false,
  columns: [
    column("Last Seen", "Time since it happened last.", (event, now) =>
      formatAge(lastSeen(event), now),
    ),
    column("Type", "Normal or Warning.", ({ type = "" }) => type),
    column("Reason", "What happened, in one word.", ({ reason = "" }) => reason),
    column("Object", "What it happened to.", (event) => formatReference(event.involvedObject)),
    wideColumn(
      "Subobject",
      "The part that it happened to.",
      ({ involvedObject }) => involvedObject.fieldPath ?? "",
    ),
    wideColumn("Source", "Who reports it.", ({ source, reportingComponent, reportingInstance }) =>
      formatSource(source?.component ?? reportingComponent, source?.host ?? reportingInstance),
    ),
    column("Message", "What happened, for people.", ({ message = "" }) => message.trim()),
    wideColumn("First Seen", "Time since it happened first.", (event, now) =>
      formatAge(event.firstTimestamp ?? event.eventTime, now),
    ),
    wideColumn(
      "Count",
      "How often it happened.",
      ({ series, count }) => series?.count ?? count ?? 1,
    ),
    { ...nameColumn, priority: 1 },
  ],
  selectableFields: {
    "involvedObject.kind": ({ involvedObject }) => involvedObject.kind ?? "",
    "involvedObject.namespace": ({ involvedObject }) => involvedObject.namespace ?? "",
    "involvedObject.name": ({ involvedObject }) => involvedObject.name ?? "",
    "involvedObject.uid": ({ involvedObject }) => involvedObject.uid ?? "",
    "involvedObject.apiVersion": ({ involvedObject }) => involvedObject.apiVersion ?? "",
    "involvedObject.resourceVersion": ({ involvedObject }) => involvedObject.resourceVersion ?? "",
    "involvedObject.fieldPath": ({ involvedObject }) => involvedObject.fieldPath ?? "",
    reason: ({ reason = "" }) => reason,
    reportingComponent: ({ reportingComponent = "" }) => reportingComponent,
    source: ({ source, reportingComponent = "" }) => source?.component ?? reportingComponent,
    type: ({ type = "" }) => type,
  },
  validate: ({ involvedObject, metadata }) =>
    validateNamespace(involvedObject.namespace, metadata.namespace, "involvedObject.namespace"),
};

const eventTypes = ["Normal", "Warning"];

function validateEventsEvent(event: EventsEvent): FieldError[] {
  const { regarding, metadata, reason, action, type } = event;
  const errors = validateNamespace(regarding?.namespace, metadata.namespace, "regarding.namespace");
  if (!event.reportingController) errors.push(required("reportingController"));
  if (!event.reportingInstance) errors.push(required("reportingInstance"));
  if (!reason) errors.push(required("reason"));
  if (!action) errors.push(required("action"));
  if (type === undefined || !eventTypes.includes(type)) {
    errors.push(invalid("type", type ?? "", "has invalid value"));
  }
  return errors;
}

export const eventsEventKind: KindDefinition<EventsEvent> = {
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("events.Event"),
  hasStatus: false,
  columns: [
    column("Last Seen", "Time since it happened last.", ({ series, eventTime }, now) =>
      formatAge(series?.lastObservedTime ?? eventTime, now),
    ),
    column("Type", "Normal or Warning.", ({ type = "" }) => type),
    column("Reason", "What happened, in one word.", ({ reason = "" }) => reason),
    column("Object", "What it happened to.", (event) => formatReference(event.regarding)),
    column("Message", "What happened, for people.", ({ note = "" }) => note.trim()),
    { ...nameColumn, priority: 1 },
  ],
  selectableFields: {
    "regarding.kind": ({ regarding }) => regarding?.kind ?? "",
    "regarding.namespace": ({ regarding }) => regarding?.namespace ?? "",
    "regarding.name": ({ regarding }) => regarding?.name ?? "",
    "regarding.uid": ({ regarding }) => regarding?.uid ?? "",
    reason: ({ reason = "" }) => reason,
    reportingController: ({ reportingController = "" }) => reportingController,
    type: ({ type = "" }) => type,
  },
  validate: validateEventsEvent,
};
