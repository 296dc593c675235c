import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeNode } from "./judge-node.ts";
import type { NodeFacts } from "./node-facts.ts";

const wishes = { cniConfFile: "10-isobar.conflist", tunnelUdpPort: 4789 };

const sound: NodeFacts = {
  kernel: "6.1.0",
  isRoot: true,
  modules: { openvswitch: "loaded", vxlan: "loaded", nf_conntrack: "loaded", nf_tables: "loaded" },
  switchVersion: "3.1.0",
  switchRuns: true,
  agentRuns: false,
  links: [
    { name: "eth0", mtu: 1500, hasDefaultRoute: true },
    { name: "vxlan_sys_4789", mtu: 65_000, kind: "vxlan", port: 4789, hasDefaultRoute: false },
  ],
  takenPorts: [],
  cniConfigs: ["10-isobar.conflist"],
  cniPlugins: ["loopback", "portmap"],
  sysctls: { "net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0" },
  nameservers: ["192.0.2.53"],
  programs: {},
};

test("a sound node has nothing to be told, and each check looks at something of its own", () => {
  const findings = judgeNode(sound, wishes);
  assert.deepEqual(
    findings.filter(({ level }) => level !== "ok"),
    [],
  );
  const names = findings.map(({ check }) => check);
  assert.equal(new Set(names).size, names.length);
});

const changes: readonly [string, Partial<NodeFacts>, string, RegExp][] = [
  ["rights", { isRoot: false }, "warning", /root/],
  ["datapath", { modules: { ...sound.modules, openvswitch: "missing" } }, "warning", /user space/],
  [
    "datapath",
    { modules: { ...sound.modules, nf_conntrack: "missing" } },
    "error",
    /connection tracking/,
  ],
  ["open-vswitch", { switchVersion: "2.17.9" }, "error", /older than 3\.1/],
  ["open-vswitch", { switchVersion: undefined, switchRuns: false }, "warning", /no Open vSwitch/],
  ["open-vswitch", { switchRuns: false }, "warning", /does not run/],
  [
    "tunnel-port",
    {
      links: [
        ...sound.links!,
        { name: "vxlan.calico", mtu: 1450, kind: "vxlan", port: 4789, hasDefaultRoute: false },
      ],
    },
    "error",
    /vxlan\.calico/,
  ],
  ["tunnel-port", { links: undefined }, "unknown", /cannot be listed/],
  ["mtu", { links: [{ name: "eth0", mtu: 1300, hasDefaultRoute: true }] }, "error", /1250/],
  ["mtu", { links: [{ name: "eth0", mtu: 1500, hasDefaultRoute: false }] }, "warning", /default/],
  ["ports", { takenPorts: [10722] }, "error", /10722 are taken/],
  ["ports", { takenPorts: [10722], agentRuns: true }, "ok", /by Isobar/],
  [
    "cni-configuration",
    { cniConfigs: ["05-cilium.conflist", "10-isobar.conflist"] },
    "error",
    /05-cilium/,
  ],
  [
    "cni-configuration",
    { cniConfigs: ["10-isobar.conflist", "87-podman.conflist"] },
    "warning",
    /87-podman/,
  ],
  ["cni-configuration", { cniConfigs: undefined }, "warning", /not there/],
  ["cni-plugins", { cniPlugins: ["loopback"] }, "warning", /portmap missing/],
  [
    "forwarding",
    { sysctls: { ...sound.sysctls, "net/ipv4/conf/all/rp_filter": "1" } },
    "warning",
    /rp_filter/,
  ],
  [
    "conntrack",
    { sysctls: { ...sound.sysctls, "net/netfilter/nf_conntrack_max": "1024" } },
    "warning",
    /1024/,
  ],
  ["dns", { nameservers: [] }, "warning", /nameserver/],
  ["other-software", { programs: { firewalld: true } }, "warning", /firewalld/],
  ["other-software", { programs: { NetworkManager: true } }, "warning", /NetworkManager/],
];

test("whatever is not as it should be is told, with what to do", () => {
  for (const [check, change, level, message] of changes) {
    const findings = judgeNode({ ...sound, ...change }, wishes);
    const found = findings.find((finding) => finding.check === check);
    assert.equal(found?.level, level, `${check} ${JSON.stringify(change)}`);
    assert.match(found.message, message);
    if (level !== "ok") assert.ok((found.action ?? "").length > 10, check);
    const others = findings.filter((one) => one.level !== "ok" && one.check !== check);
    for (const other of others) assert.equal(other.level, "unknown", JSON.stringify(other));
  }
});
