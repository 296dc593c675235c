// An external IPAM: the one in examples/, and servers that misbehave.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { AddressRig, type Fate, until } from "./address-rig.ts";

const program = join(import.meta.dirname, "../examples/ipam-webhook/server.ts");

/** The example as a process, with a state file of its own. */
class ExampleIpam implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "isobar-ipam-"));
  readonly #range: string;
  #process: ChildProcess | undefined;
  port = 0;

  constructor(range: string) {
    this.#range = range;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const state = join(this.#directory, "state.json");
    const flags = ["--port", String(this.port), "--range", this.#range, "--state", state];
    const child = spawn(process.execPath, [program, ...flags], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = child;
    const [text]: string[] = await once(child.stdout, "data");
    this.port = Number(/:(\d+)$/.exec(String(text).trim())?.[1]);
  }

  async kill(): Promise<void> {
    if (this.#process === undefined || this.#process.exitCode !== null) return;
    const exit = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exit;
  }

  /** Addresses that it has given out. */
  allocated(): string[] {
    const text = readFileSync(join(this.#directory, "state.json"), "utf8");
    const entries: [string, string][] = JSON.parse(text);
    return entries.map(([, address]) => address).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true });
  }
}

async function filled(rig: AddressRig, key: string): Promise<readonly string[]> {
  await until(
    `addresses of ${key}`,
    () => (rig.endpoints.get(key)?.spec.addresses ?? []).length > 0,
  );
  return rig.endpoints.get(key)?.spec.addresses ?? [];
}

describe("an external IPAM", () => {
  test("gives addresses out and gets them back, also of a namespace that is deleted", async () => {
    await using ipam = new ExampleIpam("10.0.0.10-10.0.0.12");
    await ipam.start();
    await using rig = await AddressRig.start({ webhook: ipam.url });
    await rig.namespace("z");
    await rig.pod("z/a");
    assert.deepEqual(await filled(rig, "z/a"), ["10.0.0.10"]);
    assert.equal(rig.networks.size, 0);
    await rig.pod("z/b", { annotations: { "isobar.io/addresses": "10.0.0.12" } });
    assert.deepEqual(await filled(rig, "z/b"), ["10.0.0.12"]);
    await rig.pod("z/c");
    await filled(rig, "z/c");
    await rig.pod("z/d");
    assert.match((await rig.reported("IpamRefused")).message, /none of 3 addresses/);
    await rig.deletePod("z/a");
    assert.deepEqual(await filled(rig, "z/d"), ["10.0.0.10"]);
    await rig.api.client.delete(namespaceKind, { name: "z" });
    await until("everything given back", () => ipam.allocated().length === 0);
    await until("the namespace's end", async () => {
      return (await rig.api.client.find(namespaceKind, { name: "z" })) === undefined;
    });
  });

  test("that is away keeps pods waiting, is reported, and is asked again", async () => {
    await using ipam = new ExampleIpam("10.0.0.10-10.0.0.12");
    await ipam.start();
    await using rig = await AddressRig.start({ webhook: ipam.url });
    await rig.namespace("z");
    await ipam.kill();
    await rig.pod("z/a");
    const report = await rig.reported("IpamUnavailable");
    assert.match(report.message, /the IPAM at http.* does not answer/);
    assert.equal(report.regarding.name, "a");
    await ipam.start();
    assert.deepEqual(await filled(rig, "z/a"), ["10.0.0.10"]);
  });

  test("loses no address when the controller dies at any write", async () => {
    await using ipam = new ExampleIpam("10.0.0.10-10.0.0.40");
    await ipam.start();
    let writes = 0;
    const fates: readonly Fate[] = ["before", "after", "late"];
    let dying = true;
    const fateOf = (): Fate => {
      writes += 1;
      return dying && writes % 3 === 0 ? (fates[(writes / 3) % 3] ?? "before") : "works";
    };
    await using rig = await AddressRig.start({ webhook: ipam.url, fateOf });
    await rig.namespace("z");
    for (let index = 0; index < 12; index++) await rig.pod(`z/p${index}`);
    for (let index = 0; index < 6; index++) {
      await filled(rig, `z/p${index}`);
      await rig.deletePod(`z/p${index}`);
    }
    dying = false;
    await until("six endpoints", () => {
      const complete = [...rig.endpoints.values()].filter(({ spec }) => spec.addresses.length > 0);
      return rig.endpoints.size === 6 && complete.length === 6;
    });
    const held = [...rig.endpoints.values()].flatMap(({ spec }) => spec.addresses);
    await until("no leak", () => ipam.allocated().join() === held.toSorted().join());
    assert.ok(rig.deaths > 5, `${rig.deaths} deaths`);
    assert.deepEqual(rig.violations, []);
  });

  for (const [what, answer, reason, message] of [
    ["nonsense", "<html>", "IpamUnavailable", /did not answer in JSON: <html>/],
    ["nothing", "{}", "IpamUnavailable", /answered \{\}: expected/],
    [
      "no address",
      '{"addresses":["10.0.0"]}',
      "AddressRefused",
      /gave 10\.0\.0, which is no address/,
    ],
    ["a foreign address", '{"addresses":["192.0.2.1"]}', "AddressRefused", /not in the pools/],
    ["two of a family", '{"addresses":["10.0.0.1","10.0.0.2"]}', "AddressRefused", /second one/],
  ] as const) {
    test(`that answers ${what} gives no address`, async () => {
      const server = createServer((_, outgoing) => outgoing.end(answer)).listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      const port = typeof address === "object" ? address?.port : 0;
      await using rig = await AddressRig.start({ webhook: `http://127.0.0.1:${port}` });
      await rig.namespace("z");
      await rig.pod("z/a");
      assert.match((await rig.reported(reason)).message, message);
      await until("its endpoint", () => rig.endpoints.has("z/a"));
      assert.deepEqual(rig.endpoints.get("z/a")?.spec.addresses, []);
      server.close();
    });
  }

  test("that gives an address twice is not believed", async () => {
    const answer = '{"addresses":["10.0.0.1"]}';
    const server = createServer((_, outgoing) => outgoing.end(answer)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    await using rig = await AddressRig.start({ webhook: `http://127.0.0.1:${port}` });
    await rig.namespace("z");
    await Promise.all(["z/a", "z/b", "z/c"].map(async (key) => await rig.pod(key)));
    assert.match((await rig.reported("AddressRefused")).message, /is endpoint z\/[abc]'s/);
    await until("one with the address", () => {
      return [...rig.endpoints.values()].some(({ spec }) => spec.addresses.length > 0);
    });
    assert.deepEqual(rig.violations, []);
    server.close();
  });

  test("that never answers keeps a pod waiting with a reason", async () => {
    const server = createServer(() => {}).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    await using rig = await AddressRig.start({ webhook: `http://127.0.0.1:${port}` });
    await rig.namespace("z");
    await rig.pod("z/a");
    assert.match((await rig.reported("IpamUnavailable")).message, /does not answer/);
    server.closeAllConnections();
    server.close();
  });
});
