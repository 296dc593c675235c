import assert from "node:assert/strict";
import { test } from "node:test";
import { joinResults, parsePrevResult, renderResult } from "./result.ts";

const own = {
  interfaces: [
    { name: "iso1", mtu: 1450 },
    { name: "eth0", mac: "0a:00:00:00:00:01", mtu: 1450, sandbox: "/run/netns/a" },
  ],
  ips: [
    { address: "10.0.0.1/32", gateway: "169.254.1.1", interface: 1 },
    { address: "fd00::1/128", gateway: "fe80::1", interface: 1 },
  ],
  routes: [{ dst: "0.0.0.0/0", gw: "169.254.1.1" }],
  dns: undefined,
};

test("each version has its own form", () => {
  for (const version of ["0.3.1", "0.4.0"] as const) {
    assert.deepEqual(renderResult(version, own), {
      cniVersion: version,
      interfaces: [
        { name: "iso1" },
        { name: "eth0", mac: "0a:00:00:00:00:01", sandbox: "/run/netns/a" },
      ],
      ips: [
        { version: "4", address: "10.0.0.1/32", gateway: "169.254.1.1", interface: 1 },
        { version: "6", address: "fd00::1/128", gateway: "fe80::1", interface: 1 },
      ],
      routes: [{ dst: "0.0.0.0/0", gw: "169.254.1.1" }],
    });
  }
  const { interfaces, ips, routes } = own;
  assert.deepEqual(renderResult("1.0.0", own), {
    cniVersion: "1.0.0",
    interfaces: [
      { name: "iso1" },
      { name: "eth0", mac: "0a:00:00:00:00:01", sandbox: "/run/netns/a" },
    ],
    ips,
    routes,
  });
  const dns = { nameservers: ["10.0.0.10"] };
  assert.deepEqual(renderResult("1.1.0", { ...own, dns }), {
    cniVersion: "1.1.0",
    interfaces,
    ips,
    routes,
    dns,
  });
});

test("what plugins before have made stays, and own indexes follow", () => {
  const before = parsePrevResult({
    cniVersion: "1.0.0",
    interfaces: [{ name: "net0", sandbox: "/run/netns/a", pciID: "0000:00:01.0" }],
    ips: [{ address: "192.0.2.7/24", interface: 0 }],
    dns: { search: ["a.example"] },
    routes: null,
  });
  const joined = joinResults(before, own);
  assert.deepEqual(
    joined.interfaces.map(({ name }) => name),
    ["net0", "iso1", "eth0"],
  );
  assert.equal(Reflect.get(joined.interfaces[0]!, "pciID"), "0000:00:01.0");
  assert.deepEqual(
    joined.ips.map((one) => one.interface),
    [0, 2, 2],
  );
  assert.deepEqual(joined.dns, { search: ["a.example"] });
  assert.throws(() => parsePrevResult({ ips: [{}] }), /prevResult\.ips\.0/);
});
