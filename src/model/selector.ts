// What selectors match: Kubernetes label selectors (labels and label sets, `meta/v1` LabelSelector).
import type { Labels, Zone } from "./endpoint.ts";
import type {
  EndpointSelector,
  LabelSelector,
  SelectorRequirement,
  ZoneSelector,
} from "./policy.ts";

export const matchesEverything: LabelSelector = { matchLabels: {}, matchExpressions: [] };

/** Labels come from outside, so a key such as `constructor` must not find what every object inherits. */
function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** NotIn also matches where the key is absent, as Kubernetes has it. */
export function matchesRequirement(requirement: SelectorRequirement, labels: Labels): boolean {
  const value = labelOf(labels, requirement.key);
  switch (requirement.operator) {
    case "In":
      return value !== undefined && requirement.values.includes(value);
    case "NotIn":
      return value === undefined || !requirement.values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

export function matchesSelector(selector: LabelSelector, labels: Labels): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels)) {
    if (labelOf(labels, key) !== value) return false;
  }
  return selector.matchExpressions.every((requirement) => matchesRequirement(requirement, labels));
}

export function matchesZone(selector: ZoneSelector, zone: Zone): boolean {
  return selector.kind === "name"
    ? selector.name === zone.name
    : matchesSelector(selector.selector, zone.labels);
}

/**
 * Whether an endpoint with these labels in this zone is selected. The caller must hold the zone: an endpoint whose zone
 * is not known has no labels that could be trusted, and is closed rather than matched.
 */
export function matchesEndpoint(selector: EndpointSelector, zone: Zone, labels: Labels): boolean {
  return matchesZone(selector.zones, zone) && matchesSelector(selector.endpoints, labels);
}

/** Every requirement of a selector in one form: `key: value` of matchLabels as `In [value]`. */
export function requirementsOf(selector: LabelSelector): readonly SelectorRequirement[] {
  const fromLabels = Object.entries(selector.matchLabels).map(
    ([key, value]): SelectorRequirement => ({ key, operator: "In", values: [value] }),
  );
  return [...fromLabels, ...selector.matchExpressions];
}

/** Label keys that the selector looks at, sorted, each once. */
export function selectorKeys(selector: LabelSelector): readonly string[] {
  return [...new Set(requirementsOf(selector).map((requirement) => requirement.key))].toSorted();
}

function canonical(selector: LabelSelector): readonly string[] {
  const parts = requirementsOf(selector).map(({ key, operator, values }) =>
    JSON.stringify([key, operator, ...new Set(values.toSorted())]),
  );
  return [...new Set(parts)].toSorted();
}

/** Opaque text, equal for selectors that ask for the same, whatever their order and notation. */
export function selectorId(selector: EndpointSelector): string {
  const { zones } = selector;
  return JSON.stringify([
    zones.kind === "name" ? zones.name : canonical(zones.selector),
    canonical(selector.endpoints),
  ]);
}

function formatRequirement({ key, operator, values }: SelectorRequirement): string {
  switch (operator) {
    case "In":
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(",")})`;
    case "NotIn":
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(",")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
  }
}

/** As `kubectl get -l` takes it, e.g. `app=web,tier in (a,b),!legacy`; empty for the selector that matches everything. */
export function formatSelector(selector: LabelSelector): string {
  return requirementsOf(selector).map(formatRequirement).join(",");
}
