// Services on a lab: three servers and three clients, one on each node, and what tests of Services do with them.
import assert from "node:assert/strict";
import { podKind } from "../../src/kinds/pod.ts";
import { type Service, serviceKind } from "../../src/kinds/service.ts";
import type { ServiceSpec } from "../../src/kinds/service-type.ts";
import type { ProbeResult, ProbeSpec } from "../../src/lab/protocol.ts";
import { TestLab, until } from "./harness.ts";

export const namespace = "svc";
const listener = "isobar.io/listener";

/** A pod that the test makes by itself. */
export interface PodOptions {
  readonly node: string;
  readonly app: string;
  readonly ports?: readonly object[];
  readonly spec?: object;
  readonly finalizers?: readonly string[];
}

const servedPorts = [
  { name: "http", containerPort: 8080 },
  { name: "udp", containerPort: 8081, protocol: "UDP" },
  { name: "sctp", containerPort: 8082, protocol: "SCTP" },
];

export class ServiceRig implements AsyncDisposable {
  readonly lab: TestLab;

  private constructor(lab: TestLab) {
    this.lab = lab;
  }

  /** Servers `server-1` to `3` of the app `server`, clients `client-1` to `3`, on the nodes of their numbers. */
  static async start(): Promise<ServiceRig> {
    const rig = new ServiceRig(await TestLab.start());
    await rig.lab.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${namespace}}}`);
    for (const number of [1, 2, 3]) {
      const node = `node-${number}`;
      await rig.pod(`server-${number}`, { node, app: "server" });
      await rig.pod(`client-${number}`, { node, app: "client", ports: [] });
    }
    await rig.lab.settle();
    return rig;
  }

  async pod(name: string, options: PodOptions): Promise<void> {
    const { node, app, ports = servedPorts, spec = {}, finalizers = [] } = options;
    await this.lab.apply([
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { namespace, name, labels: { app }, finalizers: [...finalizers] },
        spec: {
          nodeName: node,
          containers: [{ name: "c", image: listener, ports: [...ports] }],
          ...spec,
        },
      },
    ]);
  }

  async deletePod(name: string, gracePeriodSeconds?: number): Promise<void> {
    const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
    await this.lab.client.delete(podKind, { namespace, name }, options);
  }

  /** A pod that goes on serving while it ends: what holds it is let go by `release`. */
  async release(name: string): Promise<void> {
    const body = { metadata: { finalizers: null } };
    const options = { type: "merge-patch+json", body } as const;
    await this.lab.client.patch(podKind, { namespace, name }, options);
  }

  /** Selects the servers by their http port unless told otherwise. In force when it settles. */
  async service(name: string, spec: object = {}, metadata: object = {}): Promise<ServiceSpec> {
    const ports = [{ name: "http", port: 80, targetPort: 8080 }];
    const base = { selector: { app: "server" }, ports };
    await this.lab.apply([
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { namespace, name, ...metadata },
        spec: { ...base, ...spec },
      },
    ]);
    await this.lab.settle();
    return await this.specOf(name);
  }

  async specOf(name: string): Promise<ServiceSpec> {
    const { spec = {} }: Service = await this.lab.client.get(serviceKind, { namespace, name });
    return spec;
  }

  /** In force when it settles, if `settled`: a lab with a pod that is kept from ending never comes to rest. */
  async patch(name: string, spec: object, settled = true): Promise<ServiceSpec> {
    const options = { type: "merge-patch+json", body: { spec } } as const;
    await this.lab.client.patch(serviceKind, { namespace, name }, options);
    if (settled) await this.lab.settle();
    return await this.specOf(name);
  }

  async remove(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.lab.delete(serviceKind, { namespace, name });
    await this.lab.settle();
  }

  /** `from` is a client's number, or the name of a node, pod or external host. */
  async results(
    from: number | string,
    to: string,
    options: Partial<ProbeSpec> & { readonly count?: number } = {},
  ): Promise<readonly ProbeResult[]> {
    const { count = 1, ...rest } = options;
    const probe: ProbeSpec = {
      from: typeof from === "number" ? `${namespace}/client-${from}` : from,
      to: to.includes("/") || /[.:]|^node/.test(to) ? to : `svc/${namespace}/${to}`,
      protocol: "tcp",
      port: 80,
      family: 4,
      ...rest,
    };
    return await this.lab.probe(Array.from({ length: count }, () => probe));
  }

  async verdict(...args: Parameters<ServiceRig["results"]>): Promise<string> {
    const verdicts = new Set((await this.results(...args)).map(({ verdict }) => verdict));
    return [...verdicts].join(" and ");
  }

  /** Names of the pods that answer, without their namespace; fails if a connection does not open. */
  async answerers(...args: Parameters<ServiceRig["results"]>): Promise<string[]> {
    const results = await this.results(...args);
    for (const result of results) assert.equal(result.verdict, "allowed", JSON.stringify(result));
    const names = results.map(({ answeredBy = "" }) => answeredBy.replace(`${namespace}/`, ""));
    return [...new Set(names)].toSorted((a, b) => a.localeCompare(b));
  }

  /** Waits until these and no others answer. */
  async untilAnswered(
    expected: readonly string[],
    ...args: Parameters<ServiceRig["results"]>
  ): Promise<void> {
    let last = "";
    await until(
      `answers of ${expected.join(", ")}`,
      async () => {
        const results = await this.results(...args);
        const names = results.map(({ verdict, answeredBy = verdict }) =>
          answeredBy.replace(`${namespace}/`, ""),
        );
        last = [...new Set(names)].toSorted((a, b) => a.localeCompare(b)).join();
        return last === expected.join();
      },
      30_000,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; last ${last}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
