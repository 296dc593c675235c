// Addresses in a lab: what examples/addresses asks for, and that no kill of the controller loses or doubles one.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { checkAddresses } from "../../src/cli/ipam-check.ts";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { TestLab, until } from "./harness.ts";

const root = join(import.meta.dirname, "../..");
const example = readFileSync(join(root, "examples/addresses/addresses.yaml"), "utf8");
const run = promisify(execFile);

describe("addresses in a lab", () => {
  let lab: TestLab;
  before(async () => {
    lab = await TestLab.start({ nodes: 2 });
    await lab.apply(example);
    await lab.settle();
  });
  after(async () => await lab?.[Symbol.asyncDispose]());

  async function addressesOf(key: string): Promise<readonly string[]> {
    const [namespace = "", name = ""] = key.split("/");
    const pod = await lab.client.get(podKind, { namespace, name });
    return (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  }

  async function isobar(...words: readonly string[]): Promise<string> {
    const program = join(root, "src/main/cli.ts");
    const flags = ["--kubeconfig", lab.paths.kubeconfig];
    const { stdout } = await run(process.execPath, [program, ...words, ...flags]);
    return stdout;
  }

  test("pods have the addresses that they ask for, and use them", async () => {
    assert.deepEqual(await addressesOf("office/printer"), ["10.128.200.5", "fd00:10:128:200::5"]);
    assert.match(
      (await addressesOf("office/scanner")).join(),
      /^10\.128\.200\.\d+,fd00:10:128:200:/,
    );
    assert.match((await addressesOf("legacy/host")).join(), /^10\.130\.\d+\.\d+$/);
    const ends = { from: "legacy/host", to: "office/printer", protocol: "tcp", port: 631 } as const;
    const [result] = await lab.probe([{ ...ends, family: 4 }]);
    assert.equal(result?.verdict, "allowed");
  });

  test("a kept address goes to the next pod of the name, on another node", async () => {
    const addresses = await addressesOf("office/fax");
    const place = { namespace: "office", name: "fax" };
    await lab.delete(podKind, place);
    await until("a kept endpoint", async () => {
      return (await lab.client.find(endpointKind, place))?.status?.phase === "Kept";
    });
    await lab.apply(`
apiVersion: v1
kind: Pod
metadata: {name: fax, namespace: office, annotations: {isobar.io/keep-addresses: 10m}}
spec: {nodeName: node-2, containers: [{name: fax, image: isobar.io/listener, ports: [{containerPort: 80}]}]}
`);
    await lab.settle();
    assert.deepEqual(await addressesOf("office/fax"), addresses);
    const ends = { from: "office/printer", to: "office/fax", protocol: "tcp", port: 80 } as const;
    const [result] = await lab.probe([{ ...ends, family: 4 }]);
    assert.equal(result?.verdict, "allowed");
  });

  test("the command says who has an address, and that all is right", async () => {
    assert.match(await isobar("ipam", "show", "10.128.200.5"), /office\/printer .*node-1/);
    assert.match(await isobar("ipam", "show", "10.128.200.9"), /office\/printers: free/);
    assert.match(await isobar("ipam", "show"), /office\/printers +default +10\.128\.200\.0\/28/);
    assert.match(await isobar("ipam", "check", "--settle", "20"), /all as it should be/);
    const place = { namespace: "office", name: "printer" };
    const { spec } = await lab.client.get(endpointKind, place);
    await lab.client.create(endpointKind, {
      apiVersion: "isobar.io/v1alpha1",
      kind: "Endpoint",
      metadata: { namespace: "office", name: "thief" },
      spec: { ...spec, attachment: { kind: "Server", name: "thief" } },
    });
    const failed = await isobar("ipam", "check", "-o", "json", "--settle", "1").catch(
      (error) => error,
    );
    assert.equal(failed.code, 1);
    assert.match(failed.stdout, /"duplicate","object":"Endpoint office\/printer"/);
    await lab.delete(endpointKind, { namespace: "office", name: "thief" });
  });

  test("no kill of the controller loses an address or gives one out twice", async () => {
    await lab.apply("{apiVersion: v1, kind: Namespace, metadata: {name: churn}}");
    const make = async (name: string): Promise<void> => {
      await lab.apply(`
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: churn}
spec: {nodeName: node-1, containers: [{name: c, image: isobar.io/listener}]}
`);
    };
    const killController = async (): Promise<void> => {
      await until("a controller", async () => {
        return await lab.kill("controller").then(
          () => true,
          () => false,
        );
      });
    };
    for (let round = 0; round < 4; round++) {
      const names = Array.from({ length: 8 }, (_, index) => `p${round}-${index}`);
      const making = Promise.all(names.map(make));
      // Some rounds kill while addresses are given out, some while they are given back.
      if (round % 2 === 0) await killController();
      await making;
      const going = names.slice(4).map(async (name) => {
        await lab.delete(podKind, { namespace: "churn", name });
      });
      if (round % 2 === 1) await killController();
      await Promise.all(going);
    }
    await lab.recovered();
    const { items } = await lab.client.list(endpointKind, { namespace: "churn" });
    assert.equal(items.length, 16);
    const { findings } = await checkAddresses(lab.client, { settleMs: 150_000, repair: false });
    assert.deepEqual(findings, []);
    await lab.delete(namespaceKind, { name: "churn" });
  });
});
