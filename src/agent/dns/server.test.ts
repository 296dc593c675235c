// The node's DNS server on real sockets, with other servers that behave as they like.
import assert from "node:assert/strict";
import { type RemoteInfo, createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type DecodedPacket, decode, encode } from "dns-packet";
import { Authority } from "../../dns/authority.ts";
import { ServiceZone } from "../../dns/service-zone.ts";
import { queryBytes } from "../../dns/test-query.ts";
import type { SocketAddress } from "../../net/socket-address.ts";
import { createLog } from "../../runtime/log.ts";
import { Metrics } from "../../runtime/metrics.ts";
import { DnsAnswers } from "./answers.ts";
import { DnsFrames, frameOf } from "./frames.ts";
import { DnsMetrics } from "./metrics.ts";
import { Resolver } from "./resolver.ts";
import { DnsServer } from "./server.ts";
import { Upstreams } from "./upstream.ts";

const stack = new AsyncDisposableStack();
after(async () => await stack.disposeAsync());

/** Addresses of loopback that no other test uses. */
let addresses = 0;
function nextAddress(): string {
  addresses += 1;
  return `127.${50 + (process.pid % 100)}.${(process.pid >> 7) % 250}.${addresses}`;
}
const port = 20_053;

type Reply = (
  question: DecodedPacket,
  answer: (parts: Parameters<typeof encode>[0]) => void,
  client: RemoteInfo,
) => void;

/** A server that does as `reply` says, by UDP; and by TCP answers `overTcp`. */
async function upstreamServer(reply: Reply, overTcp: Answer[] = []): Promise<SocketAddress> {
  const address = nextAddress();
  const udp = createSocket("udp4");
  const answerTo = (query: DecodedPacket, parts: Parameters<typeof encode>[0]): Buffer => {
    const { id = 0, questions = [] } = query;
    return encode({ type: "response", flags: 0x0180, id, questions, ...parts });
  };
  udp.on("message", (bytes, client) => {
    const query = decode(bytes);
    reply(query, (parts) => udp.send(answerTo(query, parts), client.port, client.address), client);
  });
  udp.bind(port, address);
  await once(udp, "listening");
  stack.defer(() => void udp.close());
  const tcp = createServer((socket) => {
    const frames = new DnsFrames();
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      for (const frame of frames.take(Buffer.from(bytes))) {
        socket.write(frameOf(answerTo(decode(frame), { answers: overTcp })));
      }
    });
  });
  tcp.listen(port, address);
  await once(tcp, "listening");
  stack.defer(() => void tcp.close());
  return { address, port };
}

interface Options {
  readonly servers?: readonly SocketAddress[];
  readonly hosts?: number;
  readonly now?: () => number;
}

async function startServer({
  servers = [],
  hosts = 3,
  now = () => performance.now(),
}: Options = {}) {
  const zone = new ServiceZone();
  const domain = "default";
  zone.setService("shop/web", { id: "shop/web", domain, addresses: ["10.96.0.1"], ports: [] });
  zone.setService("shop/db", { id: "shop/db", domain, addresses: [], ports: [] });
  const alias = "host.example.com";
  zone.setService("shop/bank", { id: "shop/bank", domain, addresses: [], alias, ports: [] });
  for (let index = 0; index < hosts; index++) {
    const address = `10.1.${index >> 8}.${index & 255}`;
    zone.setHost("shop/db", String(index), { address, ports: [] });
  }
  const authority = new Authority(zone, {
    zone: "cluster.local",
    networks: [],
    serverAddresses: [],
    ttlSeconds: 5,
    serial: 1,
  });
  const metrics = new Metrics("agent");
  const dnsMetrics = new DnsMetrics(metrics, () => ({
    listening: true,
    names: 2,
    cachedAnswers: 0,
  }));
  const upstreams = new Upstreams({
    timeoutsMs: [200, 400],
    budgetMs: 1_000,
    limit: 100,
    onExchange: (result, durationMs) => dnsMetrics.exchanged(result, durationMs),
  });
  const resolver = new Resolver({ upstreams, serversFor: () => servers, now });
  const answers = new DnsAnswers({ authority: () => authority, resolver, metrics: dnsMetrics });
  const log = createLog({ name: "dns", level: "fatal" });
  const server = stack.use(new DnsServer({ port, answers, log }));
  const address = nextAddress();
  await server.listen([address]);
  return { address, server, metrics, answers };
}

async function askUdp(
  address: string,
  query: Uint8Array,
  timeoutMs = 3_000,
): Promise<Buffer | undefined> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  socket.on("message", resolve);
  socket.send(query, port, address);
  const answer = await Promise.race([promise, sleep(timeoutMs, undefined)]);
  socket.close();
  return answer;
}

/** Sends all at once and gives as many answers as there are. */
async function askTcp(address: string, queries: readonly Uint8Array[]): Promise<Buffer[]> {
  const socket = connect(port, address);
  const frames = new DnsFrames();
  const found: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  socket.on("error", () => resolve(undefined));
  socket.on("close", () => resolve(undefined));
  socket.on("data", (bytes) => {
    found.push(...frames.take(Buffer.from(bytes)));
    if (found.length === queries.length) resolve(undefined);
  });
  // Byte by byte at first: messages do not come in one piece.
  const bytes = Buffer.concat(queries.map(frameOf));
  socket.write(bytes.subarray(0, 1));
  await sleep(20);
  socket.write(bytes.subarray(1));
  await Promise.race([promise, sleep(5_000)]);
  socket.destroy();
  return found;
}

function codeOf(bytes: Buffer | undefined): number | undefined {
  return bytes && bytes.readUInt16BE(2) & 0xf;
}

function dataOf(bytes: Buffer | undefined): string[] {
  const answers = bytes === undefined ? [] : (decode(bytes).answers ?? []);
  return answers.map((each) =>
    "data" in each && typeof each.data === "string" ? each.data : each.type,
  );
}

const www = (data: string, ttl = 60): Answer => ({ type: "A", name: "www.example.com", ttl, data });
const wwwQuery = queryBytes("www.example.com", "A");

test("queries are answered by UDP and TCP, several on one connection, repeated ones as well", async () => {
  const { address } = await startServer();
  for (const id of [1, 2, 3]) {
    const answer = await askUdp(address, queryBytes("web.shop.svc.cluster.local", "A", { id }));
    assert.equal(answer?.readUInt16BE(0), id);
    assert.deepEqual(dataOf(answer), ["10.96.0.1"]);
  }
  const queries = Array.from({ length: 200 }, (_, id) =>
    queryBytes("web.shop.svc.cluster.local", "A", { id }),
  );
  const answers = await askTcp(address, queries);
  assert.deepEqual(
    answers.map((each) => each.readUInt16BE(0)),
    queries.map((_, id) => id),
  );
});

test("an answer that changes is not the old one", async () => {
  const { address, answers } = await startServer();
  const query = queryBytes("web.shop.svc.cluster.local", "A");
  await askUdp(address, query);
  answers.forget();
  assert.deepEqual(dataOf(await askUdp(address, query)), ["10.96.0.1"]);
});

test("what does not fit into a datagram comes by TCP", async () => {
  const { address } = await startServer({ hosts: 400 });
  const query = queryBytes("db.shop.svc.cluster.local", "A", { ednsSize: 4096 });
  const cut = await askUdp(address, query);
  assert.ok(cut !== undefined && cut.length <= 1232);
  assert.notEqual(cut.readUInt16BE(2) & 0x0200, 0);
  const [whole] = await askTcp(address, [query]);
  assert.equal(dataOf(whole).length, 400);
});

test("malformed messages get an error or nothing, and the next one its answer", async () => {
  const { address, metrics } = await startServer();
  const query = queryBytes("web.shop.svc.cluster.local", "A");
  assert.equal(codeOf(await askUdp(address, query.slice(0, 20))), 1);
  assert.equal(await askUdp(address, query.slice(0, 5), 200), undefined);
  const response = Uint8Array.from(query);
  response[2] = 0x80;
  assert.equal(await askUdp(address, response, 200), undefined);
  assert.deepEqual(dataOf(await askUdp(address, query)), ["10.96.0.1"]);
  assert.deepEqual((await askTcp(address, [query.slice(0, 5)])).length, 0);
  const text = await metrics.render();
  assert.match(
    text,
    /dns_queries_total\{transport="udp",type="other",rcode="FORMERR",source="local"\} 1/,
  );
  assert.match(text, /dns_dropped_messages_total 3/);
});

test("a server that does not answer is left for the next one, and asked last from then on", async () => {
  let silent = 0;
  const first = await upstreamServer(() => {
    silent += 1;
  });
  const second = await upstreamServer((_, answer) => answer({ answers: [www("192.0.2.1", 0)] }));
  const { address } = await startServer({ servers: [first, second] });
  assert.deepEqual(dataOf(await askUdp(address, wwwQuery)), ["192.0.2.1"]);
  assert.deepEqual(dataOf(await askUdp(address, wwwQuery)), ["192.0.2.1"]);
  assert.equal(silent, 1);
});

test("a server that fails is left for one that knows", async () => {
  const failing = await upstreamServer((_, answer) => answer({ flags: 0x0182 }));
  const refusing = await upstreamServer((_, answer) => answer({ flags: 0x0185 }));
  const knowing = await upstreamServer((_, answer) => answer({ answers: [www("192.0.2.1")] }));
  const { address } = await startServer({ servers: [failing, refusing, knowing] });
  assert.deepEqual(dataOf(await askUdp(address, wwwQuery)), ["192.0.2.1"]);
  const alone = await startServer({ servers: [failing] });
  assert.equal(codeOf(await askUdp(alone.address, wwwQuery)), 2);
  const nobody = await startServer({ servers: [] });
  assert.equal(codeOf(await askUdp(nobody.address, wwwQuery)), 2);
  const closed = await startServer({ servers: [{ address: nextAddress(), port }] });
  assert.equal(codeOf(await askUdp(closed.address, wwwQuery)), 2);
});

test("what nobody answers is not asked again at once, and then is", async () => {
  let nowMs = 0;
  let asked = 0;
  const server = await upstreamServer((_, answer) => {
    asked += 1;
    answer({ flags: 0x0182 });
  });
  const { address } = await startServer({ servers: [server], now: () => nowMs });
  assert.equal(codeOf(await askUdp(address, wwwQuery)), 2);
  const first = asked;
  assert.equal(codeOf(await askUdp(address, wwwQuery)), 2);
  assert.equal(asked, first);
  nowMs += 1_100;
  assert.equal(codeOf(await askUdp(address, wwwQuery)), 2);
  assert.ok(asked > first);
});

test("however many servers do not answer, the client hears so in time", async () => {
  const silent = await Promise.all(
    Array.from({ length: 8 }, async () => await upstreamServer(() => undefined)),
  );
  const { address } = await startServer({ servers: silent });
  const begun = performance.now();
  assert.equal(codeOf(await askUdp(address, wwwQuery, 10_000)), 2);
  // Two rounds of all would take 4.8 s.
  assert.ok(performance.now() - begun < 4_000);
});

test("an answer to another question or with another id does not count", async () => {
  const server = await upstreamServer((query, answer) => {
    answer({ id: ((query.id ?? 0) + 1) & 0xffff, answers: [www("203.0.113.1")] });
    answer({ questions: [{ type: "A", name: "www.example.org" }], answers: [www("203.0.113.2")] });
    answer({ type: "query", answers: [www("203.0.113.3")] });
    answer({ answers: [www("192.0.2.1")] });
  });
  const { address } = await startServer({ servers: [server] });
  assert.deepEqual(dataOf(await askUdp(address, wwwQuery)), ["192.0.2.1"]);
});

test("each question has an id and a port of its own", async () => {
  const ids = new Set<number>();
  const ports = new Set<number>();
  const server = await upstreamServer((query, answer, client) => {
    ids.add(query.id ?? 0);
    ports.add(client.port);
    answer({ answers: [www("192.0.2.1", 0)] });
  });
  const { address } = await startServer({ servers: [server] });
  for (let index = 0; index < 40; index++) await askUdp(address, wwwQuery);
  // 40 ids of 65,536: two pairs that meet are less likely than one in 10^4.
  assert.ok(ids.size >= 39, `${ids.size} ids`);
  assert.ok(ports.size >= 30, `${ports.size} ports`);
});

test("a cut answer is asked for again by TCP", async () => {
  const whole = Array.from({ length: 200 }, (_, index) => www(`192.0.2.${index}`));
  const server = await upstreamServer((_, answer) => answer({ flags: 0x0380 }), whole);
  const { address } = await startServer({ servers: [server] });
  const [answer] = await askTcp(address, [wwwQuery]);
  assert.equal(dataOf(answer).length, 200);
});

test("all who want the same wait for one question; later ones get what is kept", async () => {
  let asked = 0;
  const server = await upstreamServer((_, answer) => {
    asked += 1;
    setTimeout(() => answer({ answers: [www("192.0.2.1")] }), 100);
  });
  const { address } = await startServer({ servers: [server] });
  const answers = await Promise.all(
    Array.from({ length: 50 }, async () => await askUdp(address, wwwQuery)),
  );
  for (const answer of answers) assert.deepEqual(dataOf(answer), ["192.0.2.1"]);
  await askUdp(address, queryBytes("WWW.example.com", "A"));
  assert.equal(asked, 1);
});

test("what is out of date is better than nothing, and is not asked for all the time", async () => {
  let nowMs = 0;
  let asked = 0;
  let silent = false;
  const server = await upstreamServer((_, answer) => {
    asked += 1;
    if (!silent) answer({ answers: [www("192.0.2.1", 10)] });
  });
  const { address } = await startServer({ servers: [server], now: () => nowMs });
  await askUdp(address, wwwQuery);
  silent = true;
  nowMs += 11_000;
  for (let index = 0; index < 5; index++) {
    assert.deepEqual(dataOf(await askUdp(address, wwwQuery, 4_000)), ["192.0.2.1"]);
  }
  assert.ok(asked <= 3, `${asked} questions`);
  silent = false;
  nowMs += 6_000;
  await askUdp(address, wwwQuery);
  nowMs += 5_000;
  const answer = await askUdp(address, wwwQuery);
  const [record] = answer === undefined ? [] : (decode(answer).answers ?? []);
  assert.equal(record?.type === "A" && record.ttl, 5);
});

test("an alias comes with what it leads to, or with what is said of that", async () => {
  const known: Answer = { type: "A", name: "host.example.com", ttl: 60, data: "192.0.2.9" };
  const server = await upstreamServer((_, answer) => answer({ answers: [known] }));
  const { address } = await startServer({ servers: [server] });
  const query = queryBytes("bank.shop.svc.cluster.local", "A");
  assert.deepEqual(dataOf(await askUdp(address, query)), ["host.example.com", "192.0.2.9"]);
  const unknowing = await upstreamServer((_, answer) => answer({ flags: 0x0183 }));
  const second = await startServer({ servers: [unknowing] });
  const answer = await askUdp(second.address, query);
  assert.equal(codeOf(answer), 3);
  assert.deepEqual(dataOf(answer), ["host.example.com"]);
});

test("addresses come and go, and what is there goes on", async () => {
  const { address, server } = await startServer();
  const second = nextAddress();
  await server.listen([address, second]);
  const query = queryBytes("web.shop.svc.cluster.local", "A");
  assert.deepEqual(dataOf(await askUdp(second, query)), ["10.96.0.1"]);
  // One that the machine does not have is an error, and the others are open all the same.
  await assert.rejects(server.listen([address, second, "192.0.2.200"]), /EADDRNOTAVAIL/);
  assert.deepEqual(dataOf(await askUdp(address, query)), ["10.96.0.1"]);
  await server.listen([second]);
  assert.equal(await askUdp(address, query, 200), undefined);
  assert.deepEqual(server.addresses, [second]);
});
