// OVN in forwarding.bench.ts: one logical switch over two nodes, with an ACL for each rule.
import { OvnNodes, type OvnPort } from "./ovn-nodes.ts";
import { type PathsByPlace, otherRules } from "./forwarding-path.ts";

function aclsOf({ name }: Pick<OvnPort, "name">, client: string) {
  const to = `outport == "${name}"`;
  const allow = { priority: 1000, action: "allow-related" };
  return [
    { ...allow, match: `${to} && ip4.src == ${client}` },
    ...otherRules.map(({ address, port }) => ({
      ...allow,
      match: `${to} && ip4.src == ${address} && tcp.dst == ${port}`,
    })),
    { priority: 900, action: "drop", match: `${to} && ip4` },
  ];
}

/** @returns the paths; OVN ends with the stack. */
export async function createOvnPaths(stack: AsyncDisposableStack): Promise<PathsByPlace> {
  const ovn = await OvnNodes.start(2, stack);
  const [a, b] = ovn.nodes;
  const servers = [
    { name: "near", node: a! },
    { name: "far", node: b! },
  ];
  const hosts = await ovn.createSwitch(
    [{ name: "client", node: a! }, ...servers],
    servers.flatMap((server) => aclsOf(server, "10.4.0.1")),
  );
  const [client, near, far] = hosts;
  const path = (server: OvnPort) => [{ name: "OVN", client: client!, server }];
  return { "one node": path(near!), "two nodes": path(far!) };
}
