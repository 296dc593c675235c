// Writes deploy/chart/crds/: Isobar's kinds as CustomResourceDefinitions, from their definitions.
//
//   node tools/render-crds.ts            writes the files
//   node tools/render-crds.ts --check    fails when a file is another
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { renderCrd } from "../src/apimachinery/crd.ts";
import { kinds } from "../src/kinds/kinds.ts";

const folder = new URL("../deploy/chart/crds/", import.meta.url);
mkdirSync(folder, { recursive: true });
for (const kind of kinds.filter(({ group }) => group === "isobar.io")) {
  const name = `${kind.group}_${kind.plural}.yaml`;
  const head = "# Written by tools/render-crds.ts.\n";
  const text = head + stringify(renderCrd(kind), { lineWidth: 120, aliasDuplicateObjects: false });
  const file = new URL(name, folder);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    throw new Error(
      `deploy/chart/crds/${name} is not what the kinds say: run tools/render-crds.ts`,
    );
  }
}
