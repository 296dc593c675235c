import { labPaths } from "../lab/paths.ts";
import { stopLab } from "../lab/start.ts";
import { Progress } from "./progress.ts";

export async function labDown({ lab }: { readonly lab: string }): Promise<void> {
  const progress = new Progress();
  const { wasUp, removed } = await stopLab(labPaths(lab));
  if (removed.length > 0) progress.say(`removed what was left: ${removed.join(", ")}`);
  progress.say(wasUp || removed.length > 0 ? `lab "${lab}" is down` : `there is no lab "${lab}"`);
}
