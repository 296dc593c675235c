// Megaflow economy: every pod of a node sends a datagram to every other, then one of them scans ports, under a policy of 10
// rules and one of 10,000. Half of the pods may send. What the switch keeps, and how long it looks for it while all that is
// new, and when the pods send again; beside OVN with the same traffic and as many ACLs.
//
//   node bench/megaflows.bench.ts [--quick]
import { type Socket, createSocket } from "node:dgram";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { networkPolicyKind } from "../src/kinds/network-policy.ts";
import { podKind } from "../src/kinds/pod.ts";
import { bindPort } from "../src/lab/network/native.ts";
import { TestLab } from "../test/lab/harness.ts";
import type { Host } from "./forwarding-path.ts";
import { forget, readEconomy, resetCounters } from "./megaflows.ts";
import { OvnNodes } from "./ovn-nodes.ts";

const quick = process.argv.includes("--quick");
const pods = quick ? 40 : 200;
const scannedPorts = quick ? 500 : 5_000;
const ruleCounts = quick ? [10, 1_000] : [10, 10_000];
const port = 9_000;
const rulesPerPolicy = 1_000;
/** Datagrams in a row before others have their turn. */
const burst = 20;

/** Of the outside, so that they let nobody in. */
function rulesOf(count: number) {
  return Array.from({ length: count }, (_, n) => ({
    address: `11.0.${n >> 8}.${n & 255}`,
    port: 20_000 + n,
  }));
}

/** One socket for each host; what they exchange has their port at both ends. */
class Exchange implements Disposable {
  received = 0;
  readonly #hosts: readonly Host[];
  readonly #sockets: readonly Socket[];
  #sent = 0;

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
    this.#sockets = hosts.map(({ netns }) => {
      const socket = createSocket("udp6");
      socket.on("message", () => (this.received += 1));
      socket.on("error", () => undefined);
      socket.bind({ fd: bindPort(netns, "udp", port) });
      return socket;
    });
  }

  /** A datagram from every host to every other. */
  async meet(): Promise<void> {
    for (const from of this.#hosts.keys()) {
      for (const to of this.#hosts.keys()) if (from !== to) await this.#send(from, to, port);
    }
    await sleep(500);
  }

  /** A datagram from the first host to each of many ports of the second. */
  async scan(): Promise<void> {
    for (let n = 0; n < scannedPorts; n++) await this.#send(0, 1, 1_000 + n);
    await sleep(500);
  }

  async #send(from: number, to: number, toPort: number): Promise<void> {
    const address = `::ffff:${this.#hosts[to]?.address}`;
    this.#sockets[from]?.send("!", toPort, address, () => undefined);
    if (++this.#sent % burst === 0) await sleep(1);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.close();
  }
}

/** `socket` is ovs-vswitchd's for unixctl. */
async function measure(
  name: string,
  rules: number,
  hosts: readonly Host[],
  socket: string,
): Promise<void> {
  using exchange = new Exchange(hosts);
  forget(socket);
  await exchange.meet();
  await exchange.scan();
  const first = readEconomy(socket);
  resetCounters(socket);
  await exchange.meet();
  const again = readEconomy(socket);
  console.log(
    `${name.padEnd(6)} ${String(rules).padStart(6)} rules: ${first.megaflows} megaflows of ${first.masks} masks, ` +
      `${first.upcalls} upcalls and ${first.lookups} lookups per hit at first, ` +
      `${again.upcalls} and ${again.lookups} again; ${exchange.received} datagrams arrived`,
  );
}

const group = (n: number): string => (n % 2 === 0 ? "senders" : "others");

async function createPods(lab: TestLab): Promise<readonly Host[]> {
  const manifests = Array.from({ length: pods }, (_, n) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "bench", name: `pod-${n}`, labels: { group: group(n) } },
    spec: { nodeName: "node-1", containers: [{ name: "main", image: "any" }] },
  }));
  await lab.apply(["apiVersion: v1", "kind: Namespace", "metadata: { name: bench }"].join("\n"));
  for (const manifest of manifests) await lab.client.create(podKind, manifest);
  await lab.settle(300_000);
  return await Promise.all(
    manifests.map(async ({ metadata: { namespace, name } }) => {
      const { status } = await lab.client.get(podKind, { namespace, name });
      return { netns: lab.podNetns(`${namespace}/${name}`), address: status?.podIP ?? "" };
    }),
  );
}

/** Replaces the policies by some with so many rules together. */
async function setRules(lab: TestLab, count: number): Promise<void> {
  const senders = { from: [{ podSelector: { matchLabels: { group: "senders" } } }] };
  for (let first = 0; first < count; first += rulesPerPolicy) {
    const rules = rulesOf(count).slice(first, first + rulesPerPolicy);
    await lab.client.create(networkPolicyKind, {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { namespace: "bench", name: `rules-${count}-${first}` },
      spec: {
        podSelector: {},
        policyTypes: ["Ingress"],
        ingress: [
          senders,
          ...rules.map(({ address, port: number }) => ({
            from: [{ ipBlock: { cidr: `${address}/32` } }],
            ports: [{ protocol: "UDP", port: number }],
          })),
        ],
      },
    });
  }
  await lab.settle(120_000);
}

async function measureIsobar(): Promise<void> {
  await using lab = await TestLab.start({ nodes: 1 });
  const hosts = await createPods(lab);
  const socket = `${lab.nodeDirectory("node-1")}/ovs-vswitchd.ctl`;
  for (const count of ruleCounts) {
    await setRules(lab, count);
    await measure("Isobar", count, hosts, socket);
  }
}

/** Every host knows every other's link address: asking for all of them takes more room than the kernel has for answers. */
function introduce(hosts: readonly (Host & { readonly mac: string })[]): void {
  const lines = hosts.map(
    ({ address, mac }) => `neigh add ${address} lladdr ${mac} dev eth0 nud permanent\n`,
  );
  for (const { netns } of hosts) {
    execFileSync("nsenter", [`--net=${netns}`, "ip", "-force", "-batch", "-"], {
      input: lines.join(""),
    });
  }
}

async function measureOvn(): Promise<void> {
  for (const count of ruleCounts) {
    await using stack = new AsyncDisposableStack();
    const ovn = await OvnNodes.start(1, stack);
    const [node] = ovn.nodes;
    if (node === undefined) throw new Error("expected a node of OVN");
    const ports = Array.from({ length: pods }, (_, n) => ({ name: `pod${n}`, node }));
    const addressOf = (n: number): string => `10.4.0.${n + 1}`;
    const senders = [...ports.keys()].filter((n) => group(n) === "senders").map(addressOf);
    await ovn.addAddressSet("senders", senders);
    const allow = { priority: 1000, action: "allow-related" };
    const hosts = await ovn.createSwitch(ports, [
      { ...allow, match: "ip4.src == $senders" },
      ...rulesOf(count).map((rule) => ({
        ...allow,
        match: `ip4.src == ${rule.address} && udp.dst == ${rule.port}`,
      })),
      { priority: 900, action: "drop", match: "ip4" },
    ]);
    introduce(hosts);
    await measure("OVN", count, hosts, node.controlSocket);
  }
}

await measureIsobar();
await measureOvn();
