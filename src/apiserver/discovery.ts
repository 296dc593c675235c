// Discovery: which groups, versions and resources there are. The plain documents (v1 APIVersions, APIGroupList,
// APIResourceList) and the aggregated one (apidiscovery.k8s.io APIGroupDiscoveryList).
import type { KindDefinition } from "../apimachinery/kind.ts";
import type { Catalog } from "./catalog.ts";
import { reviewKinds } from "./reviews.ts";

/** A path below a group's version that kubectl may find: a kind, a part of one, or something to ask. */
interface Resource {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
}

const kindVerbs = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
];
const partVerbs = ["get", "patch", "update"];

/** Kinds of subresources that are not their parent's, and what can be done with them. */
const parts: Readonly<Record<string, Pick<Resource, "kind" | "group" | "version" | "verbs">>> = {
  scale: { kind: "Scale", group: "autoscaling", version: "v1", verbs: partVerbs },
  binding: { kind: "Binding", verbs: ["create"] },
};

/** In the order of kubectl api-resources, by name. */
function resourcesOf(catalog: Catalog, group: string, version: string): Resource[] {
  const kinds = catalog.kindsOf(group, version).flatMap(resourcesOfKind);
  const reviews = reviewKinds
    .filter((review) => review.group === group && review.version === version)
    .map(({ plural, kind }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced: false,
      kind,
      verbs: ["create"],
    }));
  return [...kinds, ...reviews].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function resourcesOfKind(kind: KindDefinition): Resource[] {
  const { plural, singular, namespaced, shortNames, categories } = kind;
  const whole: Resource = {
    name: plural,
    singularName: singular,
    namespaced,
    kind: kind.kind,
    verbs: kindVerbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
  };
  const subresources = [...(kind.hasStatus ? ["status"] : []), ...(kind.subresources ?? [])];
  return [
    whole,
    ...subresources.map((subresource) => ({
      name: `${plural}/${subresource}`,
      singularName: "",
      namespaced,
      kind: kind.kind,
      verbs: partVerbs,
      ...(Object.hasOwn(parts, subresource) ? parts[subresource] : undefined),
    })),
  ];
}

/** All group and version pairs, those of reviews included. */
function groupVersionsOf(catalog: Catalog): { group: string; version: string }[] {
  const found = catalog.groupVersions();
  for (const { group, version } of reviewKinds) {
    if (!found.some((one) => one.group === group && one.version === version)) {
      found.push({ group, version });
    }
  }
  return found;
}

function gv({ group, version }: { group: string; version: string }): string {
  return group === "" ? version : `${group}/${version}`;
}

/** /api */
export function renderVersions(serverAddress: string): unknown {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

/** /apis */
export function renderGroupList(catalog: Catalog): unknown {
  const names = new Set(groupVersionsOf(catalog).map(({ group }) => group));
  names.delete("");
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [...names].map((name) => groupOf(catalog, name)),
  };
}

/** /apis/GROUP; undefined when there is no such group. */
export function renderGroup(catalog: Catalog, name: string): unknown {
  const known = name !== "" && groupVersionsOf(catalog).some(({ group }) => group === name);
  return known ? { kind: "APIGroup", apiVersion: "v1", ...groupOf(catalog, name) } : undefined;
}

function groupOf(catalog: Catalog, name: string): object {
  const versions = groupVersionsOf(catalog)
    .filter(({ group }) => group === name)
    .map((one) => ({ groupVersion: gv(one), version: one.version }));
  return { name, versions, preferredVersion: versions[0] };
}

/** /api/VERSION and /apis/GROUP/VERSION; undefined when there is no such version. */
export function renderResourceList(catalog: Catalog, group: string, version: string): unknown {
  const resources = resourcesOf(catalog, group, version);
  if (resources.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: gv({ group, version }),
    resources,
  };
}

/** /api and /apis for clients that ask for everything at once. `version` is that of apidiscovery.k8s.io. */
export function renderAggregated(
  catalog: Catalog,
  root: "api" | "apis",
  version: "v2" | "v2beta1",
): unknown {
  const all = groupVersionsOf(catalog).filter(({ group }) => (group === "") === (root === "api"));
  const items = [...new Set(all.map(({ group }) => group))].map((name) => ({
    metadata: { ...(name !== "" && { name }), creationTimestamp: null },
    versions: all
      .filter(({ group }) => group === name)
      .map((one) => ({
        version: one.version,
        resources: aggregate(one, resourcesOf(catalog, one.group, one.version)),
        freshness: "Current",
      })),
  }));
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items,
  };
}

function aggregate(
  home: { group: string; version: string },
  resources: readonly Resource[],
): unknown[] {
  const responseKind = ({
    kind,
    group = home.group,
    version = home.version,
  }: Resource): object => ({
    group,
    version,
    kind,
  });
  return resources
    .filter(({ name }) => !name.includes("/"))
    .map((whole) => ({
      resource: whole.name,
      responseKind: responseKind(whole),
      scope: whole.namespaced ? "Namespaced" : "Cluster",
      singularResource: whole.singularName,
      verbs: whole.verbs,
      ...(whole.shortNames && { shortNames: whole.shortNames }),
      ...(whole.categories && { categories: whole.categories }),
      ...subresourcesOf(whole, resources, responseKind),
    }));
}

function subresourcesOf(
  whole: Resource,
  resources: readonly Resource[],
  responseKind: (resource: Resource) => object,
): object {
  const found = resources
    .filter(({ name }) => name.startsWith(`${whole.name}/`))
    .map((part) => ({
      subresource: part.name.slice(whole.name.length + 1),
      responseKind: responseKind(part),
      verbs: part.verbs,
    }));
  return found.length > 0 ? { subresources: found } : {};
}
