// DNS as pods see it: answered by their node, on real packets, by UDP and TCP, IPv4 and IPv6.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clusterNetworkPolicyKind } from "../../src/kinds/cluster-network-policy.ts";
import { domainKind } from "../../src/kinds/domain.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { serviceKind } from "../../src/kinds/service.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import { type DnsAnswer, type DnsQuestion, DnsSocket, ask, askOnce } from "./dns-client.ts";
import { UpstreamServer } from "./dns-upstream.ts";
import { TestLab, until } from "./harness.ts";

const servers = ["10.96.0.10", "fd00:10:96::10"] as const;
const zone = "cluster.local";

const objects = `
apiVersion: v1
kind: Namespace
metadata: { name: kube-system }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { namespace: kube-system, name: kube-dns }
spec:
  clusterIP: ${servers[0]}
  clusterIPs: ["${servers[0]}", "${servers[1]}"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: { k8s-app: kube-dns }
  ports:
    - { name: dns, port: 53, protocol: UDP, targetPort: 53 }
    - { name: dns-tcp, port: 53, protocol: TCP, targetPort: 53 }
---
apiVersion: v1
kind: Service
metadata: { namespace: shop, name: web }
spec:
  clusterIP: 10.96.0.20
  clusterIPs: ["10.96.0.20", "fd00:10:96::20"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { namespace: shop, name: db }
spec:
  clusterIP: None
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  selector: { app: db }
  ports: [{ name: sql, port: 5432 }]
---
${[1, 2]
  .map(
    (node) => `
apiVersion: v1
kind: Pod
metadata: { namespace: shop, name: client-${node}, labels: { app: client } }
spec: { nodeName: node-${node}, containers: [{ name: main, image: any }] }
---
apiVersion: v1
kind: Pod
metadata: { namespace: shop, name: db-${node}, labels: { app: db } }
spec: { nodeName: node-${node}, hostname: db-${node}, subdomain: db, containers: [{ name: main, image: any }] }
---`,
  )
  .join("")}
apiVersion: v1
kind: Pod
metadata: { namespace: shop, name: upstream, labels: { app: upstream } }
spec: { nodeName: node-2, containers: [{ name: main, image: any }] }
`;

const stack = new AsyncDisposableStack();
let lab: TestLab;
let upstream: UpstreamServer;

before(async () => {
  lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(objects);
  await lab.settle();
  upstream = stack.use(new UpstreamServer(lab.podNetns("shop/upstream")));
  const { status } = await lab.client.get(podKind, { namespace: "shop", name: "upstream" });
  const body = { spec: { dns: { upstreams: [status?.podIP ?? ""] } } };
  await lab.client.patch(domainKind, { name: "default" }, { type: "merge-patch+json", body });
  await lab.settle();
  await until("DNS on both nodes", async () => {
    const all = await Promise.all(lab.nodes.map(async (node) => await lab.agentStatus(node)));
    return all.every(({ dns }) => dns?.addresses.length === 2);
  });
});
after(async () => await stack.disposeAsync());

function from(pod: string, name: string, rest: Partial<DnsQuestion> = {}): DnsQuestion {
  const netns = lab.podNetns(`shop/${pod}`);
  return { netns, server: servers[0], name, type: "A", transport: "udp", ...rest };
}

/** From a pod on each node, to both addresses, by both transports. */
async function askEverywhere(name: string, type: DnsQuestion["type"] = "A"): Promise<DnsAnswer[]> {
  const questions = ["client-1", "client-2"].flatMap((pod) =>
    servers.flatMap((server) =>
      (["udp", "tcp"] as const).map((transport) => from(pod, name, { server, transport, type })),
    ),
  );
  return await Promise.all(questions.map(ask));
}

async function podAddresses(name: string): Promise<string[]> {
  const { status } = await lab.client.get(podKind, { namespace: "shop", name });
  return (status?.podIPs ?? []).map(({ ip }) => ip ?? "");
}

test("pods of every node resolve Services, by both transports and families", async () => {
  for (const { code, records } of await askEverywhere(`web.shop.svc.${zone}`)) {
    assert.deepEqual([code, records], ["NOERROR", ["A 10.96.0.20"]]);
  }
  for (const { code, records } of await askEverywhere(`web.shop.svc.${zone}`, "AAAA")) {
    assert.deepEqual([code, records], ["NOERROR", ["AAAA fd00:10:96::20"]]);
  }
  for (const { code } of await askEverywhere(`nothing.shop.svc.${zone}`)) {
    assert.equal(code, "NXDOMAIN");
  }
});

test("pods behind a headless Service are called by their host names and found by their addresses", async () => {
  const [one = "", oneSix = ""] = await podAddresses("db-1");
  const [two = ""] = await podAddresses("db-2");
  const { records } = await ask(from("client-1", `db.shop.svc.${zone}`));
  assert.deepEqual(records, [`A ${one}`, `A ${two}`].toSorted());
  const host = await ask(from("client-2", `db-1.db.shop.svc.${zone}`));
  assert.deepEqual(host.records, [`A ${one}`]);
  const six = await ask(from("client-2", `db-1.db.shop.svc.${zone}`, { type: "AAAA" }));
  assert.deepEqual(six.records, [`AAAA ${oneSix}`]);
  const reverse = `${one.split(".").toReversed().join(".")}.in-addr.arpa`;
  const pointer = await ask(from("client-2", reverse, { type: "PTR" }));
  assert.deepEqual(pointer.records, [`PTR db-1.db.shop.svc.${zone}`]);
  const ports = await ask(from("client-2", `_sql._tcp.db.shop.svc.${zone}`, { type: "SRV" }));
  assert.deepEqual(ports.records, [
    `SRV 5432 db-1.db.shop.svc.${zone}`,
    `SRV 5432 db-2.db.shop.svc.${zone}`,
  ]);
  const pod = `${one.replaceAll(".", "-")}.shop.pod.${zone}`;
  assert.deepEqual((await ask(from("client-1", pod))).records, [`A ${one}`]);
});

test("a Service that comes, changes or goes is found, and not any more, within a moment", async () => {
  const place = { namespace: "shop", name: "late" };
  const spec = { ports: [{ port: 80 }] };
  await lab.apply([
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: place,
      spec: { ...spec, clusterIP: "10.96.0.30" },
    },
  ]);
  const name = `late.shop.svc.${zone}`;
  await until("the name", async () => (await ask(from("client-1", name))).code === "NOERROR");
  await lab.delete(serviceKind, place);
  await until("no name", async () => (await ask(from("client-1", name))).code === "NXDOMAIN");
});

test("other names are asked for elsewhere, once for all, and stay known while nobody answers", async () => {
  upstream.zone.set("www.example.com", [
    { type: "A", name: "www.example.com", ttl: 1, data: "192.0.2.80" },
  ]);
  upstream.asked = [];
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => await ask(from("client-1", "www.example.com"))),
  );
  for (const { records } of answers) assert.deepEqual(records, ["A 192.0.2.80"]);
  assert.ok(upstream.asked.length <= 2, upstream.asked.join());
  assert.equal((await ask(from("client-1", "nothing.example.com"))).code, "NXDOMAIN");
  upstream.isSilent = true;
  const asked = upstream.asked.length;
  await until("the end of the answer", async () => {
    await ask(from("client-1", "www.example.com"));
    return upstream.asked.length > asked;
  });
  const { records, message } = await ask(from("client-1", "www.example.com"));
  assert.deepEqual(records, ["A 192.0.2.80"]);
  const [answer] = message.answers ?? [];
  assert.equal(answer?.type === "A" && answer.ttl, 30);
  // What was never known cannot be told, and the client hears so before it gives up.
  const unknown = await askOnce(from("client-1", "unknown.example.com"), 5_000);
  assert.equal(unknown?.code, "SERVFAIL");
  upstream.isSilent = false;
});

test("an alias comes with what it leads to", async () => {
  upstream.zone.set("api.bank.example", [
    { type: "A", name: "api.bank.example", ttl: 60, data: "192.0.2.90" },
  ]);
  await lab.apply(`
apiVersion: v1
kind: Service
metadata: { namespace: shop, name: bank }
spec: { type: ExternalName, externalName: api.bank.example }
`);
  await until("the alias", async () => {
    const { records } = await ask(from("client-1", `bank.shop.svc.${zone}`));
    return records.join() === "A 192.0.2.90,CNAME api.bank.example";
  });
});

test("all questions from one port are answered, two at a time as resolvers ask", async () => {
  using socket = new DnsSocket(lab.podNetns("shop/client-1"), servers[0]);
  const lost: string[] = [];
  for (let round = 0; round < 200; round++) {
    const pair = (["A", "AAAA"] as const).map(async (type) => {
      const answer = await socket.ask(`web.shop.svc.${zone}`, type, 4_000);
      if (answer?.records.length !== 1) lost.push(`${round} ${type}`);
    });
    await Promise.all(pair);
  }
  assert.deepEqual(lost, []);
});

test("from a fresh port each time, both questions of a pair are answered", async () => {
  const lost: string[] = [];
  for (let round = 0; round < 100; round++) {
    using socket = new DnsSocket(lab.podNetns("shop/client-2"), servers[round % 2] ?? servers[0]);
    const pair = (["A", "AAAA"] as const).map(async (type) => {
      const answer = await socket.ask(`web.shop.svc.${zone}`, type, 4_000);
      if (answer?.records.length !== 1) lost.push(`${round} ${type}`);
    });
    await Promise.all(pair);
  }
  assert.deepEqual(lost, []);
});

test("who may reach the DNS Service's pods may ask, though there are none, and nobody else may", async () => {
  const policy = (to: string): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { namespace: shop, name: clients }
spec:
  podSelector: { matchLabels: { app: client } }
  policyTypes: [Egress]
  egress:
    - to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }, podSelector: { matchLabels: { k8s-app: ${to} } } }]
      ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
`;
  await lab.apply(policy("kube-dns"));
  await lab.settle();
  for (const { records } of await askEverywhere(`web.shop.svc.${zone}`)) {
    assert.deepEqual(records, ["A 10.96.0.20"]);
  }
  await lab.apply(policy("other"));
  await lab.settle();
  for (const transport of ["udp", "tcp"] as const) {
    const question = from("client-1", `web.shop.svc.${zone}`, { transport });
    assert.equal(await askOnce(question, 1_500), undefined);
  }
  await lab.delete(networkPolicyKind, { namespace: "shop", name: "clients" });
  await lab.settle();
});

test("the node itself asks at the same address, and from elsewhere nobody gets an answer", async () => {
  const own = { netns: lab.nodeNetns("node-1"), server: servers[0], type: "A" } as const;
  const { records } = await ask({ ...own, name: `web.shop.svc.${zone}` });
  assert.deepEqual(records, ["A 10.96.0.20"]);
});

test("policies that name domain names learn from these answers, before the pod has them", async () => {
  const [internet] = ["198.51.100.10"];
  const prober = new Prober();
  const passes = async (): Promise<boolean> => {
    const netns = lab.podNetns("shop/client-1");
    const target = { netns, to: internet, port: 443, protocol: "tcp", timeoutMs: 2_000 } as const;
    return (await prober.probe(target)).verdict === "allowed";
  };
  upstream.zone.set("www.partner.test", [
    { type: "A", name: "www.partner.test", ttl: 60, data: internet },
  ]);
  await lab.apply(`
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: names }
spec:
  tier: Admin
  priority: 10
  subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: client } } } }
  egress:
    - name: resolver
      action: Accept
      to: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { k8s-app: kube-dns } } } }]
      protocols: [{ udp: { destinationPort: { number: 53 } } }]
    - { name: partners, action: Accept, to: [{ domainNames: [www.partner.test] }] }
    - { name: nothing else, action: Deny, to: [{ networks: [0.0.0.0/0, "::/0"] }] }
`);
  await lab.settle();
  assert.equal(await passes(), false);
  // The flows that show answers to the agent are renewed every two seconds.
  await until("an answer that was learnt from", async () => {
    const { records } = await ask(from("client-1", "www.partner.test"));
    assert.deepEqual(records, [`A ${internet}`]);
    return await passes();
  });
  await lab.delete(clusterNetworkPolicyKind, { name: "names" });
  await lab.settle();
});

test("Services are found while API server and controller are away, also by an agent that starts then", async () => {
  await lab.whileDown(["apiserver", "controller"], async () => {
    for (const { records } of await askEverywhere(`web.shop.svc.${zone}`)) {
      assert.deepEqual(records, ["A 10.96.0.20"]);
    }
  });
  await lab.killAndRecover("agent-node-1");
  for (const { records } of await askEverywhere(`web.shop.svc.${zone}`)) {
    assert.deepEqual(records, ["A 10.96.0.20"]);
  }
});

test("without its agent a node's pods ask the Service's pods", async () => {
  await lab.apply(`
apiVersion: v1
kind: Pod
metadata: { namespace: kube-system, name: dns-1, labels: { k8s-app: kube-dns } }
spec: { nodeName: node-2, containers: [{ name: main, image: any }] }
`);
  await lab.settle();
  using other = new UpstreamServer(lab.podNetns("kube-system/dns-1"));
  const name = `web.shop.svc.${zone}`;
  other.zone.set(name, [{ type: "A", name, ttl: 5, data: "192.0.2.53" }]);
  const answer = async (): Promise<string | undefined> =>
    (await askOnce(from("client-1", name), 1_000))?.records.join();
  assert.equal(await answer(), "A 10.96.0.20");
  await lab.whileDown(["agent-node-1"], async () => {
    await until("an answer of the pod", async () => (await answer()) === "A 192.0.2.53");
  });
  await until("an answer of the node", async () => (await answer()) === "A 10.96.0.20");
});

test("where it is off, the cluster's own DNS is balanced as any Service, and loses no question of a pair", async () => {
  const pods = [2, 3].map((number) => `dns-${number}`);
  await lab.apply(
    pods
      .map(
        (name, index) => `
apiVersion: v1
kind: Pod
metadata: { namespace: kube-system, name: ${name}, labels: { k8s-app: kube-dns } }
spec: { nodeName: node-${index + 1}, containers: [{ name: main, image: any }] }
---`,
      )
      .join(""),
  );
  await lab.delete(podKind, { namespace: "kube-system", name: "dns-1" });
  await lab.client.patch(
    domainKind,
    { name: "default" },
    { type: "merge-patch+json", body: { spec: { dns: null } } },
  );
  await lab.settle();
  const name = "some.name.test";
  using own = new DisposableStack();
  for (const [index, pod] of pods.entries()) {
    const other = own.use(new UpstreamServer(lab.podNetns(`kube-system/${pod}`)));
    other.zone.set(name, [
      { type: "A", name, ttl: 5, data: `192.0.2.${index}` },
      { type: "AAAA", name, ttl: 5, data: `2001:db8::${index}` },
    ]);
  }
  await until("answers of pods", async () => {
    const answer = await askOnce(from("client-1", name), 1_000);
    return answer?.records.length === 1;
  });
  const lost: string[] = [];
  const seen = new Map<string, number>();
  const askPair = async (socket: DnsSocket, round: number): Promise<void> => {
    const pair = (["A", "AAAA"] as const).map(async (type) => {
      const answer = await socket.ask(name, type, 4_000);
      const [record] = answer?.records ?? [];
      if (record === undefined) lost.push(`${round} ${type}`);
      else seen.set(record, (seen.get(record) ?? 0) + 1);
    });
    await Promise.all(pair);
  };
  // A port of its own for each pair, as resolvers have it: both questions are one connection, made by whichever comes first.
  for (let round = 0; round < 150; round++) {
    using socket = new DnsSocket(lab.podNetns("shop/client-1"), servers[round % 2] ?? servers[0]);
    await askPair(socket, round);
  }
  assert.deepEqual(lost, []);
  // Of 150 fair choices each of two has 75 ± 6.1; six deviations miss once in 10^9.
  const first = (seen.get("A 192.0.2.0") ?? 0) + (seen.get("A 192.0.2.1") ?? 0);
  assert.equal(first, 150);
  assert.ok(Math.abs((seen.get("A 192.0.2.0") ?? 0) - 75) < 37, JSON.stringify([...seen]));
  // One port for all of them is one connection, to one pod.
  seen.clear();
  using socket = new DnsSocket(lab.podNetns("shop/client-2"), servers[0]);
  for (let round = 0; round < 200; round++) await askPair(socket, round);
  assert.deepEqual(lost, []);
  assert.equal(seen.size, 2);
});
