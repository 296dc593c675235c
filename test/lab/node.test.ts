import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { NodeLab, type Pod, domain, eventually, sh } from "./node-lab.ts";

let lab: NodeLab;
/** On the first node, and on the second. */
let here: Pod;
let there: Pod;
let internet: { readonly netns: string; readonly addresses: readonly string[] };

/** One that the API lists beside its first, and one that it does not; on no interface of the underlay. */
const listed = ["172.31.0.1", "fd00:31::1"];
const unlisted = ["172.31.0.2", "fd00:31::2"];
/** As NodeLocal DNSCache has it. */
const nodeLocal = "169.254.20.10";
const metadata = "169.254.169.254";
const otherLinkLocal = "169.254.169.253";

before(async () => {
  lab = await NodeLab.create({
    name: `n${process.pid}`,
    nodes: 2,
    addressesOf: ({ name, addresses }) =>
      name === "node0" ? [...addresses, ...listed] : addresses,
    agentArguments: [`--link-local=${metadata}/32`],
  });
  const [first, second] = [lab.node(0), lab.node(1)];
  sh(
    first.netns,
    [
      "ip link add extra type bridge",
      "ip link set extra up",
      ...[...listed, ...unlisted, nodeLocal].map(
        (address) =>
          `ip address add ${address}/${address.includes(":") ? "128 nodad" : "32"} dev extra`,
      ),
      ...[metadata, otherLinkLocal].map((address) => `ip route add ${address} via 172.30.0.1`),
    ].join("\n"),
  );
  assert.ok(second !== undefined);
  const [host] = lab.network.externalHosts;
  assert.ok(host !== undefined);
  internet = host;
  sh(
    internet.netns,
    `ip address add ${metadata}/32 dev lo; ip address add ${otherLinkLocal}/32 dev lo`,
  );
  sh(
    `/run/netns/isobar-${lab.network.name}.fabric`,
    [metadata, otherLinkLocal]
      .map((address) => `ip route add ${address} via ${internet.addresses[0]}`)
      .join("\n"),
  );
  [here, there] = await Promise.all([lab.pod(0, "closed"), lab.pod(1, "closed")]);
  // The first node may, wherever the pod is; nobody else.
  lab.controller.change([
    { kind: "group", id: "closed", identities: ["closed"], networks: [] },
    {
      kind: "group",
      id: "node0",
      identities: [],
      networks: [...first.addresses, ...listed].map((address) => ({
        cidr: `${address}/${address.includes(":") ? 128 : 32}`,
        except: [],
      })),
    },
    {
      kind: "rule",
      id: "from-node0",
      direction: "ingress",
      tier: "networkpolicy",
      priority: 0,
      action: "allow",
      subjects: ["closed"],
      peers: ["node0"],
      ports: "any",
      policy: "NetworkPolicy/shop/closed",
      ruleIndex: 0,
    },
  ]);
  await lab.controller.confirmed();
  await lab.listenForAddresses(internet.netns);
});

after(async () => await lab[Symbol.asyncDispose]());

test("a node reaches pods from each of its addresses, here and on other nodes", async () => {
  const { netns, addresses } = lab.node(0);
  for (const pod of [here, there]) {
    for (const [index, to] of pod.addresses.entries()) {
      const sources = [addresses[index], listed[index], unlisted[index], undefined];
      const verdicts = await Promise.all(
        sources.map(async (from) => await lab.verdict(netns, to, 80, from)),
      );
      assert.deepEqual(verdicts, ["allowed", "allowed", "allowed", "allowed"], to);
    }
  }
  // The rule is what lets it in on the other node.
  assert.equal(await lab.verdict(lab.node(1).netns, here.addresses[0]!), "denied");
});

test("what the node sends from loopback arrives as the node", async () => {
  const { netns } = lab.node(0);
  // As kube-proxy has it for NodePorts on localhost.
  sh(netns, "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet");
  assert.equal(await lab.verdict(netns, here.addresses[0]!, 80, "127.0.0.1"), "allowed");
});

test("pods reach their node's services at each of its addresses, listed or not", async () => {
  lab.listen(lab.node(0).netns, "node0");
  const { addresses } = lab.node(0);
  for (const to of [...addresses, ...listed, ...unlisted, nodeLocal]) {
    assert.equal(await lab.verdict(here.netns, to), "allowed", to);
  }
  for (const to of [...addresses, ...listed]) {
    assert.equal(await lab.verdict(there.netns, to), "allowed", to);
  }
});

test("link-local addresses beyond the node are reached only where that was asked for", async () => {
  lab.listen(internet.netns, "internet");
  const verdicts = [metadata, otherLinkLocal].map(async (to) => await lab.verdict(here.netns, to));
  assert.deepEqual(await Promise.all(verdicts), ["allowed", "denied"]);
  assert.equal(await lab.verdict(lab.node(0).netns, otherLinkLocal), "allowed");
});

test("pods are seen outside as their node, but where their domain says otherwise", async () => {
  await lab.network.routeExternal(
    new Map(here.addresses.map((address) => [address, lab.node(0).name])),
  );
  const seen = async (): Promise<readonly (string | undefined)[]> =>
    await Promise.all(internet.addresses.map(async (to) => await lab.seenAs(here.netns, to)));
  assert.deepEqual(await seen(), lab.node(0).addresses);
  lab.controller.change([{ ...domain, unmasqueraded: ["198.51.100.0/24"] }]);
  await eventually(async () => {
    assert.deepEqual(await seen(), [here.addresses[0], lab.node(0).addresses[1]]);
  });
  lab.controller.change([{ ...domain, unmasqueraded: ["0.0.0.0/0", "::/0"] }]);
  await eventually(async () => assert.deepEqual(await seen(), here.addresses));
  lab.controller.change([domain]);
  await eventually(async () => assert.deepEqual(await seen(), lab.node(0).addresses));
});
