// What a node's facts mean for Isobar. Before and after installing: what Isobar itself has made is no trouble.
import { type Finding, bad, doubtful, good, unknown } from "./finding.ts";
import type { NodeFacts } from "./node-facts.ts";

export interface NodeWishes {
  /** Name of Isobar's own CNI configuration. */
  readonly cniConfFile: string;
  readonly tunnelUdpPort: number;
}

/** Oldest Open vSwitch that Isobar is tested with. */
const oldestSwitch = [3, 1] as const;
/** What VXLAN over IPv4 takes of each packet. */
const tunnelBytes = 50;
/** RFC 8200 section 5. */
const smallestMtu = 1280;

export function judgeNode(facts: NodeFacts, wishes: NodeWishes): Finding[] {
  return [
    judgeRights(facts),
    judgeDatapath(facts),
    judgeSwitch(facts),
    judgeTunnel(facts, wishes),
    judgeMtu(facts),
    judgePorts(facts),
    judgeCniConfigs(facts, wishes),
    judgeCniPlugins(facts),
    judgeForwarding(facts),
    judgeConntrack(facts),
    judgeNameservers(facts),
    judgeMeddlers(facts),
  ];
}

function judgeRights({ isRoot }: NodeFacts): Finding {
  if (isRoot) return good("rights", "running as root");
  return doubtful("rights", "not running as root: some things cannot be seen", "run it as root");
}

function judgeDatapath({ modules, kernel }: NodeFacts): Finding {
  const check = "datapath";
  const { openvswitch, nf_conntrack: conntrack } = modules;
  if (openvswitch === "missing") {
    return doubtful(
      check,
      `kernel ${kernel} has no module openvswitch: packets are switched in user space, which is slower`,
      "install the kernel's module (Debian, Ubuntu: linux-modules-extra), or set openvswitch.privileged=true in the chart for user space",
    );
  }
  if (conntrack === "missing") {
    return bad(check, "the kernel has no connection tracking", "load nf_conntrack");
  }
  return good(check, `kernel ${kernel}: module openvswitch is ${openvswitch}`);
}

function judgeSwitch({ switchVersion, switchRuns }: NodeFacts): Finding {
  const check = "open-vswitch";
  if (switchVersion === undefined) {
    if (switchRuns) return good(check, "Open vSwitch runs, in a container");
    return doubtful(
      check,
      "there is no Open vSwitch on the node itself",
      "nothing with openvswitch.mode=container in the chart, which brings it; else install openvswitch-switch",
    );
  }
  const [major = 0, minor = 0] = switchVersion.split(".").map(Number);
  if (major < oldestSwitch[0] || (major === oldestSwitch[0] && minor < oldestSwitch[1])) {
    const oldest = oldestSwitch.join(".");
    return bad(check, `Open vSwitch ${switchVersion} is older than ${oldest}`, `install ${oldest}`);
  }
  if (switchRuns) return good(check, `Open vSwitch ${switchVersion} runs`);
  return doubtful(
    check,
    `Open vSwitch ${switchVersion} is installed and does not run`,
    "start it (systemctl start openvswitch-switch) for openvswitch.mode=node; nothing for container",
  );
}

function judgeTunnel({ links }: NodeFacts, { tunnelUdpPort }: NodeWishes): Finding {
  const check = "tunnel-port";
  if (links === undefined) return unseen(check, "the network interfaces");
  const other = links.find(
    ({ name, kind, port }) =>
      kind === "vxlan" && port === tunnelUdpPort && !name.startsWith("vxlan_sys"),
  );
  if (other === undefined) return good(check, `UDP port ${tunnelUdpPort} is free for VXLAN`);
  return bad(
    check,
    `${other.name} of another network uses UDP port ${tunnelUdpPort}`,
    "remove that network from the node, or set agent.tunnelUdpPort to another port on all nodes",
  );
}

function judgeMtu({ links }: NodeFacts): Finding {
  const check = "mtu";
  if (links === undefined) return unseen(check, "the network interfaces");
  const ways = links.filter(({ hasDefaultRoute }) => hasDefaultRoute);
  const [narrow] = ways.toSorted((a, b) => a.mtu - b.mtu);
  if (narrow === undefined) {
    return doubtful(
      check,
      "no interface has a default route: which one leads to other nodes is not known",
      "name the node's address by --underlay-address of the agent",
    );
  }
  const mtu = narrow.mtu - tunnelBytes;
  if (mtu >= smallestMtu) {
    return good(check, `${narrow.name} has MTU ${narrow.mtu}: pods get ${mtu}, 20 less over IPv6`);
  }
  return bad(
    check,
    `${narrow.name} has MTU ${narrow.mtu}: pods would get ${mtu}, and IPv6 needs ${smallestMtu}`,
    `raise the MTU to ${smallestMtu + tunnelBytes + 20} or more`,
  );
}

function judgePorts({ takenPorts, agentRuns }: NodeFacts): Finding {
  const check = "ports";
  if (takenPorts.length === 0) return good(check, "Isobar's TCP ports are free");
  if (agentRuns) return good(check, `TCP ports ${takenPorts.join(", ")} are in use, by Isobar`);
  return bad(
    check,
    `TCP ports ${takenPorts.join(", ")} are taken`,
    "set controller.port, controller.metricsPort or agent.metricsPort in the chart",
  );
}

function judgeCniConfigs({ cniConfigs }: NodeFacts, { cniConfFile }: NodeWishes): Finding {
  const check = "cni-configuration";
  if (cniConfigs === undefined) {
    return doubtful(
      check,
      "the folder of CNI configurations is not there",
      "nothing where the chart's cni.confDir is the runtime's; else set it",
    );
  }
  const others = cniConfigs.filter((name) => name !== cniConfFile);
  const earlier = others.filter((name) => name < cniConfFile);
  if (earlier.length > 0) {
    return bad(
      check,
      `the runtime takes ${earlier[0]} and not ${cniConfFile}, which comes later in the alphabet`,
      `remove ${earlier.join(", ")} with the network that it is of (docs/migrate.md)`,
    );
  }
  if (others.length > 0) {
    return doubtful(
      check,
      `${others.join(", ")} of another network would be taken if ${cniConfFile} went away`,
      "remove it with the network that it is of",
    );
  }
  return good(check, cniConfigs.length > 0 ? `${cniConfFile} is there` : "no other network's");
}

function judgeCniPlugins({ cniPlugins = [] }: NodeFacts): Finding {
  const check = "cni-plugins";
  const missing = ["loopback", "portmap"].filter((name) => !cniPlugins.includes(name));
  if (missing.length === 0) return good(check, "loopback and portmap are there");
  return doubtful(
    check,
    `${missing.join(" and ")} missing: hostPort needs portmap, and containerd before 2.0 needs loopback`,
    "install the CNI plugins (Debian: containernetworking-plugins), or take portmap out of cni.chained in the chart",
  );
}

function judgeForwarding({ sysctls }: NodeFacts): Finding {
  const check = "forwarding";
  const filter = sysctls["net/ipv4/conf/all/rp_filter"];
  if (filter === "1") {
    return doubtful(
      check,
      "net.ipv4.conf.all.rp_filter is 1: answers that come another way are dropped by the kernel",
      "set it to 0 or 2",
    );
  }
  const on = sysctls["net/ipv4/ip_forward"] === "1" ? "is on" : "is switched on by the agent";
  return good(check, `IPv4 forwarding ${on}`);
}

function judgeConntrack({ sysctls }: NodeFacts): Finding {
  const check = "conntrack";
  const text = sysctls["net/netfilter/nf_conntrack_max"];
  const most = Number(text);
  if (text === undefined) return good(check, "the kernel's limit shows once it tracks connections");
  if (most >= 65_536) return good(check, `the kernel tracks up to ${most} connections`);
  return doubtful(
    check,
    `the kernel tracks up to ${most} connections; new ones are dropped beyond`,
    "raise net.netfilter.nf_conntrack_max",
  );
}

function judgeNameservers({ nameservers }: NodeFacts): Finding {
  if (nameservers.length > 0) return good("dns", `nameserver ${nameservers.join(", ")}`);
  const action = "name one in /etc/resolv.conf, unless the API server is named by its address";
  return doubtful("dns", "the node has no nameserver", action);
}

function judgeMeddlers({ programs }: NodeFacts): Finding {
  const check = "other-software";
  const { NetworkManager: manager, firewalld: firewall } = programs;
  if (firewall === true) {
    return doubtful(
      check,
      "firewalld runs: its rules come besides Isobar's and may drop VXLAN and what pods send through the node",
      "let in the tunnel's UDP port and TCP 10720 between nodes, and trust isobar-gw",
    );
  }
  if (manager === true) {
    return doubtful(
      check,
      "NetworkManager runs and may configure the interfaces of pods",
      "set unmanaged-devices=interface-name:iso*;interface-name:br-int in its configuration",
    );
  }
  return good(check, "nothing that is known to meddle");
}

function unseen(check: string, what: string): Finding {
  return unknown(check, `${what} cannot be listed`, "install iproute2 and run this as root");
}
