// What a switch would do with the first packet of a connection: ofproto/trace, with connection tracking followed.
import { unixctl } from "../src/switch/unixctl.ts";
import type { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import type { End } from "./tenants-workload.ts";

/** Whether a new TCP connection's first packet leaves through a port. `mac` is where the sender sends it. */
export async function passesSwitch(
  ovs: OpenVswitch,
  from: End,
  to: End,
  mac: string,
): Promise<boolean> {
  const packet = [
    `in_port=${from.port},tcp,nw_ttl=64,dl_src=${from.mac},dl_dst=${mac}`,
    `nw_src=${from.address},nw_dst=${to.address},tp_src=40000,tp_dst=80`,
  ].join(",");
  const text = await unixctl(ovs.controlSocket, "ofproto/trace", ["br-int", packet]);
  const last = [...text.matchAll(/^Datapath actions: (.*)$/gm)].at(-1)?.[1];
  if (last === undefined) throw new Error(`expected a trace, got ${text.slice(0, 500)}`);
  return last !== "drop" && /(?:^|,)\d+$/.test(last);
}
