// B12, Services: all of them from nothing, one endpoint that flips, and the first packet of a connection, at several counts of
// Services with ten endpoints each. Beside nftables rules in kube-proxy's design, and OVN's load balancers.
//
//   node bench/services.bench.ts [--quick]
//
// Isobar: the node's part, from resources to the switch's confirmation (a bundle on a dummy datapath). nftables: nft(8) on a
// ruleset of a network namespace, a verdict map of Services and a chain for each Service and endpoint; a flip is the
// transaction that kube-proxy makes. OVN: from the transaction in the northbound database to `hv_cfg`. The first packet is a
// connection explained by the switch (ofproto/trace) for Isobar: what its classifier costs.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import type { Operation } from "../src/ovsdb/operation.ts";
import { mapOf } from "../src/ovsdb/value.ts";
import type { Pipeline } from "../src/pipeline/pipeline.ts";
import type { BackendResource, ServiceResource } from "../src/southbound/resources.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { TracedBridge } from "../test/ovs/traced-bridge.ts";
import { examplePipeline } from "../tools/pipeline-example.ts";
import { installOvn } from "./ovn.ts";
import { Ovn } from "./realisation-ovn.ts";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const counts = values.quick ? [100, 1_000] : [100, 1_000, 10_000];
const ovnCounts = values.quick ? [100] : [100, 1_000];
const perService = 10;
const flips = values.quick ? 50 : 200;
/** For 4,000 Services with 28,000 endpoints to begin with, and for a flip's p99. */
const targets = { fill: { services: 4_000, perService: 7, ms: 1_000 }, flipMs: 5, packet: 1.05 };

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

function octets(number: number): string {
  return `${number >> 8}.${number & 255}`;
}

function vipOf(service: number): string {
  return `10.${96 + (service >> 16)}.${octets(service & 0xffff)}`;
}

function endpointsOf(service: number, length: number): readonly Endpoint[] {
  return Array.from({ length }, (_, at) => {
    const number = service * length + at;
    return { address: `10.${128 + (number >> 16)}.${octets(number & 0xffff)}`, port: 8080 };
  });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

function p99(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * 0.99)] ?? Number.NaN;
}

interface Result {
  readonly fillMs: number;
  readonly flipsMs: readonly number[];
  readonly packetsMs?: readonly number[];
}

async function timed(work: () => Promise<void> | void): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function flipAll(flip: (n: number) => Promise<void> | void): Promise<readonly number[]> {
  const times: number[] = [];
  for (let n = 0; n < flips; n++) times.push(await timed(async () => await flip(n)));
  return times;
}

function resourcesOf(
  services: number,
  length: number,
): readonly (ServiceResource | BackendResource)[] {
  return Array.from({ length: services }, (_, index) => {
    const id = `bench/s${index}`;
    const service: ServiceResource = {
      kind: "service",
      id,
      name: id,
      portName: "",
      domain: "default",
      protocol: "TCP",
      family: 4,
      frontends: [{ address: vipOf(index), port: 80, scope: "cluster" }],
      internalPolicy: "Cluster",
      externalPolicy: "Cluster",
    };
    return [...endpointsOf(index, length).map((each) => backendOf(id, each)), service];
  }).flat();
}

function backendOf(service: string, { address, port }: Endpoint): BackendResource {
  const id = `${service} ${address}`;
  return { kind: "backend", id, service, address, port, node: "n2", ready: true };
}

class IsobarNode implements AsyncDisposable {
  readonly #ovs: OpenVswitch;
  readonly #bridge: TracedBridge;
  readonly #pipeline: Pipeline = examplePipeline();

  private constructor(ovs: OpenVswitch, bridge: TracedBridge) {
    this.#ovs = ovs;
    this.#bridge = bridge;
  }

  static async start(): Promise<IsobarNode> {
    const ovs = await OpenVswitch.start();
    const ports = { plain: [1, 3, 100], tunnel: 200, udpPort: 4789 };
    const node = new IsobarNode(ovs, await TracedBridge.create(ovs, "n1", ports));
    await node.#bridge.change({ upserts: [...node.#pipeline.flows()], deletes: [] });
    return node;
  }

  async apply(
    upserts: readonly (ServiceResource | BackendResource)[],
    deletes: readonly BackendResource[] = [],
  ): Promise<void> {
    await this.#bridge.change(this.#pipeline.apply({ upserts, deletes }));
  }

  async connect(service: number, port: number): Promise<void> {
    const ends = `nw_src=10.0.1.3,nw_dst=${vipOf(service)},nw_ttl=64,tcp_src=${port},tcp_dst=80`;
    const packet = `in_port=3,dl_src=0a:00:00:00:00:03,dl_dst=0a:15:0b:a2:00:01,tcp,${ends}`;
    await this.#bridge.trace(packet, "trk,new", "trk,new");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge[Symbol.asyncDispose]();
    await this.#ovs[Symbol.asyncDispose]();
  }
}

async function measureIsobar(services: number, length = perService): Promise<Result> {
  await using node = await IsobarNode.start();
  const resources = resourcesOf(services, length);
  const fillMs = await timed(async () => await node.apply(resources));
  const flipsMs = await flipAll(async (n) => {
    const service = (n * 7919) % services;
    const [first] = endpointsOf(service, length);
    if (first === undefined) return;
    const backend = backendOf(`bench/s${service}`, first);
    await (n % 2 === 0 ? node.apply([], [backend]) : node.apply([backend]));
  });
  const packetsMs: number[] = [];
  for (let n = 0; n < 400; n++) {
    packetsMs.push(await timed(() => node.connect((n * 7919) % services, 20_000 + n)));
  }
  return { fillMs, flipsMs, packetsMs };
}

/** kube-proxy's nftables mode: one map of Services, a chain for each of them, and one for each endpoint. */
class NftablesNode implements Disposable {
  readonly #netns = `isobar-bench-${process.pid}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.#netns]);
  }

  run(rules: string): void {
    execFileSync("ip", ["netns", "exec", this.#netns, "nft", "-f", "-"], { input: rules });
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "delete", this.#netns]);
  }
}

function chainOf(service: number, { address }: Endpoint): string {
  return `endpoint-${service}-${address.replaceAll(".", "-")}`;
}

function endpointChain(service: number, endpoint: Endpoint): string {
  const { address, port } = endpoint;
  return `add chain ip bench ${chainOf(service, endpoint)}
add rule ip bench ${chainOf(service, endpoint)} meta l4proto tcp dnat to ${address}:${port}
`;
}

function serviceRule(service: number, endpoints: readonly Endpoint[]): string {
  const list = endpoints.map((each, at) => `${at} : goto ${chainOf(service, each)}`).join(", ");
  return `add rule ip bench service-${service} numgen random mod ${endpoints.length} vmap { ${list} }
`;
}

async function measureNftables(services: number): Promise<Result> {
  using node = new NftablesNode();
  const all = Array.from({ length: services }, (_, index) => endpointsOf(index, perService));
  const text = [
    "add table ip bench\n",
    "add map ip bench services { type ipv4_addr . inet_proto . inet_service : verdict ; }\n",
    "add chain ip bench prerouting { type nat hook prerouting priority dstnat ; }\n",
    "add rule ip bench prerouting ip daddr . meta l4proto . th dport vmap @services\n",
    ...all.flatMap((endpoints, index) => [
      ...endpoints.map((each) => endpointChain(index, each)),
      `add chain ip bench service-${index}\n`,
      serviceRule(index, endpoints),
      `add element ip bench services { ${vipOf(index)} . tcp . 80 : goto service-${index} }\n`,
    ]),
  ].join("");
  const fillMs = await timed(() => node.run(text));
  const flipsMs = await flipAll((n) => {
    const service = ((n >> 1) * 7919) % services;
    const [first, ...rest] = endpointsOf(service, perService);
    if (first === undefined) return;
    const flush = `flush chain ip bench service-${service}\n`;
    const gone = `delete chain ip bench ${chainOf(service, first)}\n`;
    node.run(
      n % 2 === 0
        ? flush + serviceRule(service, rest) + gone
        : endpointChain(service, first) + flush + serviceRule(service, [first, ...rest]),
    );
  });
  return { fillMs, flipsMs };
}

async function measureOvn(services: number): Promise<Result> {
  await using ovn = await Ovn.start({ perSide: 1, pairs: 1 });
  const vips = (service: number, endpoints: readonly Endpoint[]) =>
    mapOf({
      [`${vipOf(service)}:80`]: endpoints
        .map(({ address, port }) => `${address}:${port}`)
        .join(","),
    });
  const fillMs = await timed(async () => {
    await ovn.change(
      Array.from({ length: services }, (_, index) => index).flatMap((index): Operation[] => [
        {
          op: "insert",
          table: "Load_Balancer",
          row: {
            name: `lb${index}`,
            protocol: "tcp",
            vips: vips(index, endpointsOf(index, perService)),
          },
          uuidName: `lb${index}`,
        },
        {
          op: "mutate",
          table: "Logical_Switch",
          where: [],
          mutations: [["load_balancer", "insert", { namedUuid: `lb${index}` }]],
        },
      ]),
    );
  });
  const flipsMs = await flipAll(async (n) => {
    const service = ((n >> 1) * 7919) % services;
    const endpoints = endpointsOf(service, perService).slice(n % 2 === 0 ? 1 : 0);
    await ovn.change([
      {
        op: "update",
        table: "Load_Balancer",
        where: [["name", "==", `lb${service}`]],
        row: { vips: vips(service, endpoints) },
      },
    ]);
  });
  return { fillMs, flipsMs };
}

function show(ms: number): string {
  return ms.toFixed(ms < 10 ? 2 : 0);
}

function row(...cells: readonly string[]): void {
  console.log(`  ${cells.map((cell) => cell.padEnd(16)).join("")}`.trimEnd());
}

function tell(name: string, services: number, { fillMs, flipsMs, packetsMs }: Result): void {
  const packet = packetsMs === undefined ? "" : median(packetsMs).toFixed(3);
  row(name, String(services), show(fillMs), show(median(flipsMs)), show(p99(flipsMs)), packet);
}

installOvn();
row("ms", "services", "from nothing", "flip p50", "flip p99", "first packet");
const packets = new Map<number, number>();
for (const services of counts) {
  const ours = await measureIsobar(services);
  tell("Isobar", services, ours);
  packets.set(services, median(ours.packetsMs ?? []));
  const met = p99(ours.flipsMs) <= targets.flipMs ? "met" : "MISSED";
  row("", "", "", "", `${targets.flipMs} ${met}`);
  tell("nftables", services, await measureNftables(services));
  if (ovnCounts.includes(services)) tell("OVN", services, await measureOvn(services));
}
const { fill } = targets;
const large = await measureIsobar(fill.services, fill.perService);
const endpoints = fill.services * fill.perService;
row(`${fill.services} / ${endpoints}`, "", show(large.fillMs), show(median(large.flipsMs)));
row("", "", `${fill.ms} ${large.fillMs <= fill.ms ? "met" : "MISSED"}`);
const [least = 0, most = 0] = [counts[0], counts.at(-1)].map((count) => packets.get(count ?? 0));
const ratio = most / least;
const met = ratio <= targets.packet ? "met" : "MISSED";
console.log(
  `  first packet, most services to fewest: ${ratio.toFixed(2)} x, ${targets.packet} ${met}`,
);
