// Writes deploy/chart/crds/: Isobar's kinds as CustomResourceDefinitions, from their definitions, and ClusterNetworkPolicy for
// clusters that do not have it yet.
//
//   node tools/render-crds.ts            writes the files
//   node tools/render-crds.ts --check    fails when a file is another
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { renderCrd } from "../src/apimachinery/crd.ts";
import type { JsonObject } from "../src/apimachinery/json.ts";
import type { KindDefinition } from "../src/apimachinery/kind.ts";
import { clusterNetworkPolicyKind } from "../src/kinds/cluster-network-policy.ts";
import { isobarGroup } from "../src/kinds/custom-kind.ts";
import { kinds } from "../src/kinds/kinds.ts";

const folder = new URL("../deploy/chart/crds/", import.meta.url);
mkdirSync(folder, { recursive: true });
/** An API server takes a CRD of a group of Kubernetes' own only when it is told who has approved of it. */
function metadataOf({ group }: KindDefinition): JsonObject {
  if (group === isobarGroup.group) return {};
  const unapproved = "unapproved, rendered from Isobar's own definition of the kind";
  return { annotations: { "api-approved.kubernetes.io": unapproved } };
}

function render(kind: KindDefinition): JsonObject {
  const crd = renderCrd(kind);
  return { ...crd, metadata: { name: `${kind.plural}.${kind.group}`, ...metadataOf(kind) } };
}

const rendered = kinds.filter(
  ({ group }) => group === isobarGroup.group || group === clusterNetworkPolicyKind.group,
);
for (const kind of rendered) {
  const name = `${kind.group}_${kind.plural}.yaml`;
  const head = "# Written by tools/render-crds.ts.\n";
  const text = head + stringify(render(kind), { lineWidth: 120, aliasDuplicateObjects: false });
  const file = new URL(name, folder);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    throw new Error(
      `deploy/chart/crds/${name} is not what the kinds say: run tools/render-crds.ts`,
    );
  }
}
