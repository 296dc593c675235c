import assert from "node:assert/strict";
import { test } from "node:test";
import { type NodeFacts, judgeNode, segmentsInSwitch } from "./node-report.ts";

const healthy: NodeFacts = {
  datapathType: "system",
  version: "3.1.0",
  segmentation: false,
  twoDatapaths: false,
  refusal: undefined,
  portErrors: {},
  otherTunnels: {},
  tunnelUdpPort: 4789,
  underlay: { vtep: "192.0.2.1", interfaces: ["eth0"], mtu: 1500, endpointMtu: 1450 },
  interfaces: [
    {
      name: "eth0",
      mtu: 1500,
      kind: "",
      tunnelPort: undefined,
      loopback: false,
      up: true,
      addresses: ["192.0.2.1"],
    },
  ],
  addresses: ["192.0.2.1"],
  complete: true,
  configured: [],
  closedChains: [],
  legacyTables: false,
  connections: { tracked: 10, most: 100 },
};

const [eth0] = healthy.interfaces;

function vxlan(name: string, tunnelPort: number): NodeFacts["interfaces"][number] {
  return { ...eth0!, name, kind: "vxlan", tunnelPort, addresses: [] };
}

/** What is not as it should be, and the problem that it is. */
const cases: readonly (readonly [string, Partial<NodeFacts>, readonly string[]])[] = [
  ["nothing", {}, []],
  ["a bridge of others", { refusal: "no" }, ["error bridge-taken"]],
  ["a port that fails", { portErrors: { "isobar-vxlan": "in use" } }, ["error port-not-made"]],
  [
    "a tunnel of the kernel's on the same port",
    { interfaces: [eth0!, vxlan("flannel.1", 4789)] },
    ["error tunnel-port-taken"],
  ],
  ["one on another port", { interfaces: [eth0!, vxlan("flannel.1", 8472)] }, []],
  ["the switch's own", { interfaces: [eth0!, vxlan("vxlan_sys_4789", 4789)] }, []],
  [
    "a tunnel of another bridge, in user space",
    { datapathType: "netdev", otherTunnels: { vx0: 4789 } },
    ["warning tunnel-port-taken"],
  ],
  ["two datapaths of an older switch", { twoDatapaths: true }, ["error two-datapaths"]],
  ["two datapaths", { twoDatapaths: true, version: "3.5.0" }, []],
  [
    "no address before a controller has spoken",
    { complete: false, underlay: { ...healthy.underlay, vtep: undefined } },
    [],
  ],
  ["no address", { underlay: { ...healthy.underlay, vtep: undefined } }, ["error no-node-address"]],
  [
    "an address that is on no interface",
    { underlay: { ...healthy.underlay, vtep: "192.0.2.9" } },
    ["error node-address-missing"],
  ],
  [
    "an address configured otherwise",
    { configured: ["192.0.2.2"] },
    ["warning node-address-differs"],
  ],
  ["a small MTU", { underlay: { ...healthy.underlay, mtu: 1300 } }, ["error underlay-mtu-small"]],
  [
    "segmentation that breaks tunnels",
    { datapathType: "netdev", segmentation: true },
    ["error segmentation-breaks-tunnels"],
  ],
  [
    "segmentation that could be on",
    { datapathType: "netdev", version: "3.5.0" },
    ["advice segmentation-off"],
  ],
  ["segmentation that is on", { datapathType: "netdev", version: "10.0", segmentation: true }, []],
  ["the kernel's datapath cuts segments anyway", { segmentation: true }, []],
  [
    "filters that stay closed",
    { closedChains: [{ chain: "ip filter FORWARD", reason: "not permitted" }] },
    ["error forwarding-filtered"],
  ],
  ["iptables of the older kind", { legacyTables: true }, ["warning iptables-legacy"]],
  [
    "a full table of connections",
    { connections: { tracked: 95, most: 100 } },
    ["error connections-nearly-full"],
  ],
  [
    "several things, the worst first",
    { datapathType: "netdev", version: "3.6.1", legacyTables: true, refusal: "no" },
    ["error bridge-taken", "warning iptables-legacy", "advice segmentation-off"],
  ],
];

for (const [name, change, expected] of cases) {
  test(`of a node with ${name}: ${expected.join(", ") || "no problem"}`, () => {
    const problems = judgeNode({ ...healthy, ...change });
    assert.deepEqual(
      problems.map(({ severity, code }) => `${severity} ${code}`),
      expected,
    );
    for (const { message, remedy } of problems) assert.ok(message !== "" && remedy !== "");
  });
}

test("every problem that there is has a case", async () => {
  const { readFile } = await import("node:fs/promises");
  const source = await readFile(new URL("node-report.ts", import.meta.url), "utf8");
  const codes = [...source.matchAll(/code: "([^"]+)"/g)].map(([, code]) => code);
  const tested = new Set(
    cases.flatMap(([, , expected]) => expected.map((one) => one.split(" ")[1])),
  );
  assert.deepEqual(
    codes.filter((code) => !tested.has(code)),
    [],
  );
});

test("the switch cuts segments for tunnels from 3.5 on, when it is told to", () => {
  const of = (version: string | undefined, segmentation: boolean): boolean =>
    segmentsInSwitch({ version, segmentation });
  assert.deepEqual(
    [of("3.4.1", true), of("3.5.0", true), of("4.0.0", true), of("3.5.0", false)],
    [false, true, true, false],
  );
  assert.equal(of(undefined, true), false);
});
