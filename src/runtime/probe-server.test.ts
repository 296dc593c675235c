import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "./metrics.ts";
import { ProbeServer, parseTcpAddress } from "./probe-server.ts";

test("addresses are HOST:PORT, IPv6 with or without brackets", () => {
  assert.deepEqual(parseTcpAddress("127.0.0.1:80"), { host: "127.0.0.1", port: 80 });
  assert.deepEqual(parseTcpAddress("[fd00::1]:9"), { host: "fd00::1", port: 9 });
  // As the downward API gives a node's address, which nobody can put into brackets.
  assert.deepEqual(parseTcpAddress("fd00::1:9"), { host: "fd00::1", port: 9 });
  for (const bad of ["", "80", ":80", "host:", "host:65536", "host:x"]) {
    assert.throws(() => parseTcpAddress(bad), /expected HOST:PORT/, bad);
  }
});

test("probes tell life from readiness, and why it is not there", async () => {
  let reasons: readonly string[] = ["the switch is not connected", "no bridge"];
  const address = { host: "127.0.0.1", port: 0 };
  const metrics = new Metrics("agent");
  await using server = await ProbeServer.listen({ address, metrics, unready: () => reasons });
  const get = async (path: string, method = "GET"): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await get("/healthz"), [200, "ok\n"]);
  assert.deepEqual(await get("/readyz"), [503, "the switch is not connected\nno bridge\n"]);
  reasons = [];
  assert.deepEqual(await get("/readyz"), [200, "ok\n"]);
  assert.equal((await get("/elsewhere"))[0], 404);
  assert.equal((await get("/metrics", "POST"))[0], 405);
});

test("metrics are what was counted, and what is read when they are asked for", async () => {
  const metrics = new Metrics("agent");
  const requests = metrics.counter({ name: "x_total", help: "X.", labels: ["kind"] });
  let flows = 1;
  metrics.gauge({ name: "flows", help: "Flows." }, () => flows);
  metrics.gauge({ name: "held", help: "Held.", labels: ["kind"] }, () => [[{ kind: "a" }, flows]]);
  metrics.readCounter({ name: "y_total", help: "Y." }, () => flows * 10);
  requests.inc({ kind: 'quote " and \n line' });
  flows = 2;
  const text = await metrics.render();
  assert.match(text, /^# TYPE isobar_agent_x_total counter$/m);
  assert.match(text, /^isobar_agent_x_total\{kind="quote \\" and \\n line"\} 1$/m);
  assert.match(text, /^isobar_agent_flows 2$/m);
  assert.match(text, /^isobar_agent_held\{kind="a"\} 2$/m);
  assert.match(text, /^isobar_agent_y_total 20$/m);
  assert.match(text, /^isobar_agent_build_info\{version="\d+\.\d+\.\d+"\} 1$/m);
  assert.match(await metrics.render(), /^isobar_agent_y_total 20$/m);
});
