// Removes the cluster of a test: `stop-cluster.ts NAME`.
import { clustersRoot } from "./cluster.ts";
import { removeCluster } from "./remove-cluster.ts";

const [name] = process.argv.slice(2);
if (name === undefined) throw new Error("expected the name of a cluster");
await removeCluster(name, clustersRoot);
