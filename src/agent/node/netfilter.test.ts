import assert from "node:assert/strict";
import { test } from "node:test";
import { type NetfilterPlan, renderNetfilter } from "./netfilter.ts";

const plan: NetfilterPlan = {
  port: "isobar-gw",
  pools: ["10.128.0.0/14", "fd00:10::/48"],
  unmasqueraded: [],
  nodeAddresses: ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
  tunnelUdpPort: 4789,
  linkLocal: [],
};

function rulesOf(change: Partial<NetfilterPlan>): string[] {
  return renderNetfilter({ ...plan, ...change })
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /(masquerade|snat ip|drop)/.test(line));
}

test("endpoints leave under their node's address, the node under the one that others know", () => {
  assert.deepEqual(rulesOf({}), [
    'oifname "isobar-gw" fib saddr type local ip saddr != { 192.0.2.1, 192.0.2.2 } snat ip to 192.0.2.1',
    'oifname "isobar-gw" fib saddr type local ip6 saddr != { 2001:db8::1, fe80::/10 } snat ip6 to 2001:db8::1',
    'ip saddr 169.254.1.2 oifname != "isobar-gw" masquerade fully-random',
    'ip6 saddr 100::2 oifname != "isobar-gw" masquerade fully-random',
    'ip saddr { 10.128.0.0/14 } ip daddr != { 10.128.0.0/14 } oifname != "isobar-gw" masquerade fully-random',
    'ip6 saddr { fd00:10::/48 } ip6 daddr != { fd00:10::/48 } oifname != "isobar-gw" masquerade fully-random',
    'iifname "isobar-gw" udp dport 4789 drop',
    'iifname "isobar-gw" ip daddr 169.254.0.0/16 drop',
  ]);
});

test("a family without pools or node addresses gets no rule", () => {
  const rules = rulesOf({ pools: ["fd00:10::/48"], nodeAddresses: ["2001:db8::1"] });
  assert.equal(rules.filter((rule) => rule.includes("ip saddr")).length, 0);
  assert.equal(rules.filter((rule) => rule.includes("ip6 saddr")).length, 3);
});

test("exceptions keep their own addresses, each named once", () => {
  const unmasqueraded = ["192.0.2.0/24", "192.0.2.128/25", "10.130.0.0/16", "2001:db8::/32"];
  const [, , , , four, six] = rulesOf({ unmasqueraded });
  assert.match(four ?? "", /ip daddr != \{ 10\.128\.0\.0\/14, 192\.0\.2\.0\/24 \}/);
  assert.match(six ?? "", /ip6 daddr != \{ fd00:10::\/48, 2001:db8::\/32 \}/);
});

test("switched off, nothing is masqueraded", () => {
  const rules = rulesOf({ unmasqueraded: ["0.0.0.0/0", "::/0", "192.0.2.0/24"] });
  const masqueraded = rules.filter((rule) => rule.includes("masquerade"));
  assert.ok(masqueraded.every((rule) => /saddr (169.254.1.2|100::2) /.test(rule)));
});

test("link-local addresses are left only where they were asked for", () => {
  const [rule] = rulesOf({ linkLocal: ["169.254.169.254/32"] }).slice(-1);
  assert.equal(
    rule,
    'iifname "isobar-gw" ip daddr 169.254.0.0/16 ip daddr != { 169.254.169.254/32 } drop',
  );
});
