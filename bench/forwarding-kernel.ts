// The kernel alone in forwarding.bench.ts: the most that this machine gives.
import { netnsPrefix } from "../src/lab/network/plan.ts";
import { cleanup } from "../src/lab/network/cleanup.ts";
import {
  type Host,
  type Path,
  type PathsByPlace,
  addNetns,
  attachHost,
  mtu,
  runIn,
} from "./forwarding-path.ts";

function createHosts(prefix: string): [Host, Host] {
  const hosts = ["client", "server"].map((name, n) => ({
    netns: addNetns(`${prefix}-${name}`),
    address: `10.1.0.${n + 1}`,
  }));
  return [hosts[0]!, hosts[1]!];
}

function createPair(prefix: string): Path {
  const [client, server] = createHosts(prefix);
  runIn(client.netns, "ip link set lo up");
  attachHost(client.netns, "eth1", { ...server, offload: true });
  runIn(client.netns, `ip addr add ${client.address}/24 dev eth1`);
  return { name: "veth pair", client, server };
}

function createBridge(prefix: string): Path {
  const [client, server] = createHosts(prefix);
  const netns = addNetns(`${prefix}-bridge`);
  runIn(netns, `ip link add bridge mtu ${mtu} type bridge && ip link set bridge up`);
  for (const [index, host] of [client, server].entries()) {
    attachHost(netns, `port${index}`, { ...host, offload: true });
    runIn(netns, `ip link set port${index} master bridge`);
  }
  return { name: "Linux bridge", client, server };
}

function createTunnel(prefix: string): Path {
  const [client, server] = createHosts(prefix);
  const [a, b] = ["a", "b"].map((node) => addNetns(`${prefix}-${node}`));
  runIn(a!, `ip link add uplink type veth peer name uplink netns ${b}`);
  for (const [index, netns] of [a!, b!].entries()) {
    runIn(
      netns,
      `ip addr add 10.2.0.${index + 1}/24 dev uplink
       ip link set uplink up
       ip link add bridge mtu ${mtu} type bridge
       ip link add vxlan mtu ${mtu} type vxlan id 1 dstport 4789 remote 10.2.0.${2 - index} dev uplink
       ip link set vxlan master bridge up
       ip link set bridge up`,
    );
    attachHost(netns, "port", { ...[client, server][index]!, offload: true });
    runIn(netns, "ip link set port master bridge");
  }
  return { name: "kernel VXLAN", client, server };
}

/** @returns the paths; namespaces end with the stack. */
export function createKernelPaths(stack: AsyncDisposableStack): PathsByPlace {
  const lab = `k${process.pid}`;
  stack.defer(async () => void (await cleanup(lab)));
  const prefix = (name: string): string => `${netnsPrefix(lab)}${name}`;
  return {
    "one node": [createPair(prefix("v")), createBridge(prefix("b"))],
    "two nodes": [createTunnel(prefix("x"))],
  };
}
