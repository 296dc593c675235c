// The thread in which the agent talks to the kernel about interfaces: a job takes a fraction of a millisecond, and as long as
// it likes where others hold the kernel's one lock for interfaces.
import { writeFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { KernelError } from "../kernel/errors.ts";
import { type NamedRequest, NetlinkSocket } from "../kernel/netlink-socket.ts";
import { fillChecksums, inNetns, openNetns } from "../kernel/system-calls.ts";
import { parseAddress, prefixOf, widthOf } from "../net/address.ts";
import { parseMac } from "../net/mac.ts";
import {
  decodeLink,
  encodeChangeLink,
  encodeCreateVeth,
  encodeDeleteLink,
  encodeGetLink,
} from "../netlink/link.ts";
import { encodeAddAddress, encodeReplaceRoute } from "../netlink/route.ts";
import {
  type InterfaceAnswer,
  type InterfaceJob,
  type InterfacePlan,
  gateways,
} from "./interface-plan.ts";
import { attachmentLinkGroup } from "./kernel-guard.ts";

/** In the agent's own namespace. */
const home = new NetlinkSocket();

parentPort?.on("message", ({ number, job }: { number: number; job: InterfaceJob }) => {
  let answer: InterfaceAnswer = { number };
  try {
    perform(job);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    answer = { number, failure: { message, code: error instanceof KernelError ? error.code : "" } };
  }
  parentPort?.postMessage(answer);
});

function perform(job: InterfaceJob): void {
  switch (job.kind) {
    case "create":
      return create(job.plan);
    case "reduce-mtu": {
      const { port, netns, interface: name } = job.ends;
      const set = (device: string): NamedRequest => ({
        what: `MTU of ${device}`,
        ...encodeChangeLink(device, { mtu: job.mtu }),
      });
      // The container's end first: nothing must come out of it that the other does not take.
      inNetns(netns, () => {
        using socket = new NetlinkSocket();
        socket.request([set(name)]);
      });
      home.request([set(port)]);
      return undefined;
    }
    case "delete":
      home.request(job.ports.map(deletion));
  }
}

/** One that is not there is passed over. */
function deletion(port: string): NamedRequest {
  return { what: `deletion of ${port}`, ...encodeDeleteLink(port), tolerated: ["ENODEV"] };
}

/** Leaves nothing behind when it fails. */
function create(plan: InterfacePlan): void {
  try {
    createEnds(plan);
    inNetns(plan.netns, () => setUpContainer(plan));
  } catch (error) {
    home.request([deletion(plan.port)]);
    throw error;
  }
}

/** Both ends, the switch's of them ready. */
function createEnds({ port, netns, interface: name, mac, mtu }: InterfacePlan): void {
  using namespace = openNetns(netns);
  const peer = { name, mtu, mac: parseMac(mac), netns: namespace.fd };
  const veth = { name: port, mtu, group: attachmentLinkGroup, peer };
  home.request([
    deletion(port),
    { what: `interface ${name} in ${netns}`, ...encodeCreateVeth(veth) },
    {
      what: `settings of ${port}`,
      // The switch's end is no party of the network: without a link-local address it sends nothing of its own. Nor does the
      // node's own stack answer for it: see kernel-guard.ts.
      ...encodeChangeLink(port, { linkLocal: false, arp: false }),
    },
    { what: `raising ${port}`, ...encodeChangeLink(port, { up: true }) },
  ]);
}

/** In the container's namespace. */
function setUpContainer({
  interface: name,
  addresses,
  routes,
  checksumInKernel,
}: InterfacePlan): void {
  using socket = new NetlinkSocket();
  if (addresses.some(({ family }) => family === 6)) {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, "0");
  }
  // The switch in user space passes packets on as they are: a checksum that hardware was to fill in stays empty, and TCP
  // and UDP fail behind conntrack or a tunnel while ping works.
  if (checksumInKernel) fillChecksums(socket.fd, name);
  const answers = socket.request([
    { what: `raising ${name}`, ...encodeChangeLink(name, { up: true }) },
    { what: `looking at ${name}`, ...encodeGetLink(name) },
  ]);
  const index = answers.flatMap((answer) => decodeLink(answer)?.index ?? [])[0];
  if (index === undefined) throw new KernelError(`the kernel does not show ${name}`, "");
  socket.request([
    ...addresses.map((address) => ({
      what: `address of ${name}`,
      ...encodeAddAddress(index, address),
    })),
    ...addresses.map(({ family }) => ({
      what: `next hop of ${name}`,
      ...encodeReplaceRoute(index, prefixOf(parseAddress(gateways[family]), widthOf(family))),
    })),
    ...routes.map((route) => ({
      what: `route through ${name}`,
      ...encodeReplaceRoute(index, route, parseAddress(gateways[route.family])),
    })),
  ]);
}
