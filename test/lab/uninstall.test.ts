import assert from "node:assert/strict";
import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { runCommand } from "../../src/runtime/command.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { NodeLab, domain, eventually, sh } from "./node-lab.ts";

let lab: NodeLab;

before(async () => {
  lab = await NodeLab.create({ name: `u${process.pid}`, nodes: 1, started: false });
  const service = "kube-system/kube-dns";
  const dns = { service, zone: "cluster.local", ttlSeconds: 5, upstreams: [], forwarders: [] };
  const addresses = ["10.96.0.10", "fd00:10:96::10"];
  lab.controller.change([
    { ...domain, dns },
    { kind: "record", id: service, domain: "default", addresses, ports: [] },
  ]);
  // A node as it is before anybody has touched it.
  sh(
    lab.node(0).netns,
    `echo 0 >/proc/sys/net/ipv4/ip_forward
     echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
     nft add table ip filter
     nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'
     nft add rule ip filter FORWARD ct state established accept`,
  );
});

after(async () => await lab[Symbol.asyncDispose]());

/** All of the node that an agent could have changed, as text. */
function snapshot(): string {
  const { netns, databaseSocket } = lab.node(0);
  return sh(
    netns,
    `ip -o link show | sed 's/^[0-9]*: //; s/@.*<.*>/ /; s/<.*>//' | sort
     ip -o address show | sed 's/^[0-9]*: //' | sort
     ip -4 route show table all; ip -6 route show table all | grep -v '^multicast' | sort
     ip rule show; ip -6 rule show
     ip neigh show nud permanent
     nft list ruleset
     for f in $(find /proc/sys/net/ipv4 /proc/sys/net/ipv6 -type f -perm -u+r |
       grep -v -e /route/flush -e stable_secret -e tcp_mem -e udp_mem -e fib_sync_mem | sort); do
       echo "$f $(cat $f 2>/dev/null || true)"
     done
     ovs-vsctl --db=unix:${databaseSocket} show | grep -v ovs_version
     ovs-vsctl --db=unix:${databaseSocket} --columns=name,external_ids,other_config list bridge | sort`,
  );
}

async function uninstall(...more: string[]): Promise<AgentProcess> {
  const remover = new AgentProcess({
    ...lab.agents[0]!.options,
    arguments: ["--uninstall", ...more],
  });
  remover.spawn();
  await remover.ended();
  return remover;
}

async function install(): Promise<void> {
  await lab.agents[0]!.start();
  const pod = await lab.pod(0);
  await eventually(async () => {
    assert.equal(await lab.verdict(lab.node(0).netns, pod.addresses[0]!), "allowed");
  });
  await eventually(() => assert.match(sh(lab.node(0).netns, "nft list ruleset"), /isobar: judged/));
  const listening = "ss --listening --numeric --udp --tcp";
  await eventually(() => assert.match(sh(lab.node(0).netns, listening), /fd00:10:96::10\]:53/));
}

function assertNothingLeft(untouched: string): void {
  const [now, then] = [snapshot(), untouched].map((text) => text.split("\n"));
  const surplus = now!.filter((line) => !then!.includes(line));
  const missing = then!.filter((line) => !now!.includes(line));
  assert.deepEqual({ surplus, missing }, { surplus: [], missing: [] });
  const { folder } = lab.agents[0]!.options;
  assert.ok(!existsSync(`${folder}/state`));
  assert.ok(!existsSync(`${folder}/agent.sock`));
}

test("an uninstalled agent leaves the node as it was, also with pods on it and after a crash", async () => {
  const untouched = snapshot();
  await install();
  assert.notEqual(snapshot(), untouched);
  await lab.agents[0]!.stop("SIGKILL");
  const remover = await uninstall();
  assert.equal(remover.exitCode, 0, JSON.stringify(remover.log));
  await eventually(() => assertNothingLeft(untouched));
  // Once more is no error.
  assert.equal((await uninstall()).exitCode, 0);
  assertNothingLeft(untouched);
});

test("without its switch all the rest is removed, and the bridge when the switch is back", async () => {
  const untouched = snapshot();
  await install();
  const flows = `ovs-ofctl -O OpenFlow15 dump-flows unix:${lab.node(0).rundir}/br-int.mgmt`;
  const queries = /hard_timeout=\d+,.*tp_dst=53/;
  await eventually(() => assert.match(sh(lab.node(0).netns, flows), queries));
  await lab.agents[0]!.stop("SIGTERM");
  // Pods' DNS queries are not brought to an agent that has gone.
  assert.doesNotMatch(sh(lab.node(0).netns, flows), queries);
  const blocked = await uninstall("--ovsdb=/dev/null");
  assert.equal(blocked.exitCode, 1, JSON.stringify(blocked.log));
  assert.ok(!sh(lab.node(0).netns, "nft list ruleset").includes("isobar"));
  assert.equal((await uninstall()).exitCode, 0);
  await eventually(() => assertNothingLeft(untouched));
});

test("a state directory that is a mount, as in a container, is emptied", async () => {
  const state = `${lab.agents[0]!.options.folder}/state`;
  await install();
  await lab.agents[0]!.stop("SIGTERM");
  await runCommand(["mount", "--bind", state, state]);
  try {
    const remover = await uninstall();
    assert.equal(remover.exitCode, 0, JSON.stringify(remover.log));
    assert.deepEqual(readdirSync(state), []);
  } finally {
    await runCommand(["umount", state]);
  }
  rmdirSync(state);
});

test("a kernel setting that somebody has changed since is theirs", async () => {
  await install();
  sh(lab.node(0).netns, "echo 2 >/proc/sys/net/ipv6/conf/all/forwarding");
  await lab.agents[0]!.stop("SIGTERM");
  await uninstall();
  const value = (name: string): string => sh(lab.node(0).netns, `cat /proc/sys/net/${name}`).trim();
  assert.equal(value("ipv6/conf/all/forwarding"), "2");
  assert.equal(value("ipv4/ip_forward"), "0");
});

test("a bridge of the name that is somebody else's stays", async () => {
  const { netns, databaseSocket } = lab.node(0);
  const control = `ovs-vsctl --db=unix:${databaseSocket}`;
  sh(netns, `${control} add-br br-int -- set bridge br-int datapath_type=netdev`);
  assert.equal((await uninstall()).exitCode, 0);
  sh(netns, `${control} br-exists br-int; ${control} del-br br-int`);
});
