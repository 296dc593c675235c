import assert from "node:assert/strict";
import { test } from "node:test";
import { type NodeInterface, underlayOf } from "./underlay.ts";

function link(name: string, change: Partial<NodeInterface> = {}): NodeInterface {
  const plain = { mtu: 1500, kind: "", tunnelPort: undefined, loopback: false, up: true };
  return { name, ...plain, addresses: [], ...change };
}

const loopback = link("lo", { mtu: 65536, loopback: true, addresses: ["127.0.0.1"] });
const noneOwn = (): boolean => false;

test("the MTU is that of the interface with the tunnels' address, less what a tunnel puts around a packet", () => {
  const interfaces = [
    loopback,
    link("eth0", { mtu: 9000, addresses: ["192.0.2.1", "2001:db8::1"] }),
    link("eth1", { addresses: ["198.51.100.1"] }),
  ];
  const of = (vtep: string): readonly unknown[] => {
    const {
      interfaces: names,
      mtu,
      endpointMtu,
    } = underlayOf(vtep, interfaces, new Set(), noneOwn);
    return [names, mtu, endpointMtu];
  };
  assert.deepEqual(of("192.0.2.1"), [["eth0"], 9000, 8950]);
  assert.deepEqual(of("2001:db8::1"), [["eth0"], 9000, 8930]);
  assert.deepEqual(of("198.51.100.1"), [["eth1"], 1500, 1450]);
});

test("an address of loopback is reached through all interfaces with routes: the least counts", () => {
  const interfaces = [
    { ...loopback, addresses: ["127.0.0.1", "192.0.2.1"] },
    link("eth0", { mtu: 9000 }),
    link("eth1", { mtu: 4000 }),
    link("docker0", { mtu: 1400 }),
    link("isobar-gw", { mtu: 1450 }),
    link("eth2", { mtu: 1400, up: false }),
  ];
  const routed = new Set(["eth0", "eth1", "eth2", "isobar-gw"]);
  const underlay = underlayOf("192.0.2.1", interfaces, routed, (name) => name === "isobar-gw");
  assert.deepEqual(underlay.interfaces, ["eth0", "eth1"]);
  assert.equal(underlay.mtu, 4000);
});

test("an address that no interface has leaves the standard MTU", () => {
  assert.equal(underlayOf("192.0.2.9", [loopback], new Set(), noneOwn).endpointMtu, 1450);
  assert.equal(underlayOf(undefined, [loopback], new Set(), noneOwn).endpointMtu, 1450);
});

test("no endpoint is given less than IPv6 asks of every link", () => {
  const interfaces = [link("eth0", { mtu: 1280, addresses: ["192.0.2.1"] })];
  assert.equal(underlayOf("192.0.2.1", interfaces, new Set(), noneOwn).endpointMtu, 1280);
});
