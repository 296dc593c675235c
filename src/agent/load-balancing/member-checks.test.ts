import assert from "node:assert/strict";
import { once } from "node:events";
import { type Server, createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { HealthVerdict } from "../../model/health-check.ts";
import type { CheckResource } from "../../southbound/resources.ts";
import { MemberChecks } from "./member-checks.ts";

function checkOf(port: number, changes: Partial<CheckResource> = {}): CheckResource {
  return {
    kind: "check",
    id: "c",
    checkers: ["n1"],
    address: "127.0.0.1",
    port,
    protocol: "TCP",
    intervalMs: 20,
    timeoutMs: 200,
    healthyThreshold: 2,
    unhealthyThreshold: 3,
    ...changes,
  };
}

class Rig implements Disposable {
  readonly reports: HealthVerdict[] = [];
  checks: CheckResource[];
  readonly member: MemberChecks;

  constructor(...checks: CheckResource[]) {
    this.checks = checks;
    this.member = new MemberChecks({
      node: "n1",
      checks: () => this.checks,
      report: (verdicts) => this.reports.push(...verdicts),
    });
    this.member.update();
  }

  async verdict(healthy: boolean): Promise<HealthVerdict> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const last = this.reports.at(-1);
      if (last?.healthy === healthy) return last;
      assert.ok(performance.now() < deadline, JSON.stringify(this.reports));
      await sleep(5);
    }
  }

  [Symbol.dispose](): void {
    this.member[Symbol.dispose]();
  }
}

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

test("a member is healthy while connections open, and told only when that changes", async () => {
  const server = createTcpServer((socket) => socket.on("error", () => undefined));
  const port = await listen(server);
  using rig = new Rig(checkOf(port));
  await rig.verdict(true);
  await sleep(150);
  assert.equal(rig.reports.length, 1);
  server.close();
  const bad = await rig.verdict(false);
  assert.match(bad.message, /ECONNREFUSED/);
  assert.equal(rig.reports.length, 2);
  rig.member.reportAll();
  assert.equal(rig.reports.length, 3);
});

test("HTTP asks for the path at the host, and for an expected status", async () => {
  let status = 204;
  const asked: string[] = [];
  const server = createServer((question, answer) => {
    asked.push(`${question.method} ${question.url} ${question.headers.host}`);
    answer.writeHead(status).end();
  });
  const port = await listen(server);
  const http = { protocol: "HTTP", path: "/live?x=1", host: "web.example" } as const;
  using rig = new Rig(checkOf(port, { ...http, statuses: [{ from: 200, to: 299 }] }));
  await rig.verdict(true);
  assert.equal(asked[0], "GET /live?x=1 web.example");
  status = 500;
  assert.equal((await rig.verdict(false)).message, "answered 500");
  status = 200;
  await rig.verdict(true);
  server.close();
});

test("one that does not answer in time is unhealthy", async () => {
  const server = createServer(() => undefined);
  const port = await listen(server);
  const slow = { protocol: "HTTP", statuses: [{ from: 200, to: 200 }], timeoutMs: 50 } as const;
  using rig = new Rig(checkOf(port, slow));
  assert.match((await rig.verdict(false)).message, /no answer in 50 ms/);
  server.closeAllConnections();
  server.close();
});

test("only what names this node is looked after, and another check begins anew", async () => {
  using rig = new Rig(checkOf(1, { checkers: ["n2"] }));
  assert.equal(rig.member.size, 0);
  rig.checks = [checkOf(1)];
  rig.member.update();
  await rig.verdict(false);
  rig.checks = [checkOf(1, { checkers: ["n1", "n3"] })];
  rig.member.update();
  rig.member.reportAll();
  assert.equal(rig.reports.at(-1)?.healthy, false);
  rig.checks = [];
  rig.member.update();
  assert.equal(rig.member.size, 0);
});
