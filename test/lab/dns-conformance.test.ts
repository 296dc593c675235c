// Upstream's DNS cases on real packets: from a pod on each of three nodes, by UDP and TCP, at the DNS Service's address of each
// family.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Answer } from "dns-packet";
import { domainKind } from "../../src/kinds/domain.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { serviceKind } from "../../src/kinds/service.ts";
import { type DnsCase, dnsCases, otherServer } from "../conformance/dns.ts";
import { ask } from "./dns-client.ts";
import { UpstreamServer } from "./dns-upstream.ts";
import { TestLab, until } from "./harness.ts";

const servers = ["10.96.0.10", "fd00:10:96::10"] as const;
const nodes = [1, 2, 3] as const;

const objects = `
apiVersion: v1
kind: Namespace
metadata: { name: kube-system }
---
apiVersion: v1
kind: Namespace
metadata: { name: dns }
---
apiVersion: v1
kind: Service
metadata: { namespace: kube-system, name: kube-dns }
spec:
  clusterIP: ${servers[0]}
  clusterIPs: ["${servers[0]}", "${servers[1]}"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  ports: [{ name: dns, port: 53, protocol: UDP }, { name: dns-tcp, port: 53, protocol: TCP }]
---
${nodes
  .map(
    (node) => `
apiVersion: v1
kind: Pod
metadata: { namespace: dns, name: client-${node} }
spec: { nodeName: node-${node}, containers: [{ name: main, image: any }] }
---`,
  )
  .join("")}
apiVersion: v1
kind: Pod
metadata: { namespace: dns, name: other-server }
spec: { nodeName: node-2, containers: [{ name: main, image: any }] }
`;

const stack = new AsyncDisposableStack();
let lab: TestLab;

before(async () => {
  lab = stack.use(await TestLab.start({ nodes: nodes.length }));
  await lab.apply(objects);
  await lab.settle();
  const other = stack.use(new UpstreamServer(lab.podNetns("dns/other-server")));
  for (const [name, records] of Object.entries(otherServer)) {
    const answers = records.map((record): Answer => {
      const [type = "", data = ""] = record.split(" ");
      assert.ok(type === "A" || type === "AAAA" || type === "PTR");
      return { type, name, ttl: 30, data };
    });
    other.zone.set(name, answers);
  }
  await until("DNS on all nodes", async () => {
    const all = await Promise.all(lab.nodes.map(async (node) => await lab.agentStatus(node)));
    return all.every(({ dns }) => dns?.addresses.length === 2);
  });
});
after(async () => await stack.disposeAsync());

async function addressesOf(kind: "service" | "pod" | "host", path: string): Promise<string[]> {
  const [namespace = "", name = ""] = path.split("/");
  if (kind === "service") {
    const { spec } = await lab.client.get(serviceKind, { namespace, name });
    return spec?.clusterIPs ?? [];
  }
  const { status } = await lab.client.get(podKind, { namespace, name });
  return (status?.podIPs ?? []).map(({ ip }) => ip ?? "");
}

/** Puts addresses in. */
async function fill(text: string, six: boolean): Promise<string> {
  const [whole, word = "", path = ""] = /\{(\w+):([^}]+)\}/.exec(text) ?? [];
  if (whole === undefined) return text;
  const kind = word.startsWith("host") ? "host" : word === "pod" ? "pod" : "service";
  const wantsSix = six || word === "host6";
  const all = await addressesOf(kind, path);
  const address = all.find((each) => each.includes(":") === wantsSix) ?? "";
  const value =
    word === "reverse"
      ? `${address.split(".").toReversed().join(".")}.in-addr.arpa`
      : kind === "host"
        ? address.replaceAll(/[.:]/g, "-")
        : address;
  return text.replace(whole, value);
}

/** What a resolver finds. */
async function resolve(
  netns: string,
  question: DnsCase["steps"][number]["questions"][number],
  rest: { readonly server: string; readonly transport: "udp" | "tcp" },
): Promise<readonly string[]> {
  const name = await fill(question.name, false);
  const names = [...(question.search ?? []).map((suffix) => `${name}.${suffix}`), name];
  for (const each of names) {
    const answer = await ask({ netns, name: each, type: question.type, ...rest });
    if (answer.records.length > 0) return answer.records;
  }
  return [];
}

async function check(
  question: DnsCase["steps"][number]["questions"][number],
): Promise<string | undefined> {
  const expected = await Promise.all(
    question.records.map(async (record) => await fill(record, question.type === "AAAA")),
  );
  const clients = nodes.map((node) =>
    question.fromNodes === true
      ? lab.nodeNetns(`node-${node}`)
      : lab.podNetns(`dns/client-${node}`),
  );
  const ways = clients.flatMap((netns) =>
    servers.flatMap((server) =>
      (["udp", "tcp"] as const).map((transport) => ({ netns, server, transport })),
    ),
  );
  const differences = await Promise.all(
    ways.map(async ({ netns, ...rest }) => {
      const found = (await resolve(netns, question, rest)).join();
      const wanted = expected.toSorted().join();
      return found === wanted ? [] : [`${JSON.stringify(rest)}: ${found} instead of ${wanted}`];
    }),
  );
  return differences.flat()[0];
}

async function run({ steps }: DnsCase): Promise<void> {
  for (const { objects: yaml, dns, questions } of steps) {
    if (dns !== undefined) {
      const [server = ""] = await addressesOf("pod", "dns/other-server");
      const body: object = JSON.parse(
        JSON.stringify({ spec: { dns } }).replaceAll("{server}", server),
      );
      await lab.client.patch(domainKind, { name: "default" }, { type: "merge-patch+json", body });
    }
    if (yaml !== undefined) await lab.apply(yaml);
    await lab.settle();
    for (const question of questions) {
      let difference: string | undefined;
      // Endpoints become ready a moment after their pods are there.
      await until(`${question.name} ${question.type}`, async () => {
        difference = await check(question);
        return difference === undefined;
      }).catch((error: unknown) => {
        throw new Error(`${question.name} ${question.type}: ${difference}`, { cause: error });
      });
    }
  }
}

for (const each of dnsCases.filter(({ steps }) => steps.length > 0)) {
  test(each.upstream, async () => await run(each));
}
