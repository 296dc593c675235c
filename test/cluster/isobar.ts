// Isobar's installation in the cluster, by its chart, with the image of this checkout.
import { globSync } from "node:fs";
import { join } from "node:path";
import { chart, namespace, render } from "../chart/render.ts";
import type { Cluster } from "./cluster.ts";
import { isobarImage } from "./images.ts";

export const isobarNamespace = namespace;

const [repository = "", tag = ""] = isobarImage.split(":");

/** What is different here from the chart's defaults. */
const settings = [
  `image.repository=${repository}`,
  `image.tag=${tag}`,
  // The nodes' switches run already.
  "openvswitch.mode=node",
  "domain.pools={10.128.0.0/14,fd00:10:128::/48}",
  // The two nodes share the machine's processors.
  "agent.resources=null",
  "controller.resources=null",
];

/** Applies everything; the nodes become ready when their agents have the plugin in place. */
export async function installIsobar({ kubectl }: Cluster): Promise<void> {
  const files = globSync(join(chart, "crds/*.yaml")).map((file) => `--filename=${file}`);
  await kubectl.run("apply", "--server-side", ...files);
  await kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s");
  await kubectl.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await kubectl.apply(...render(settings));
}
