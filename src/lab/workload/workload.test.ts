import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Deployment } from "../../kinds/deployment.ts";
import type { Node } from "../../kinds/node.ts";
import type { Pod } from "../../kinds/pod.ts";
import type { Service } from "../../kinds/service.ts";
import { planDeployment, templateHashLabel } from "./deployment.ts";
import { type EndpointSet, endpointSetsOf } from "./endpoint-slice.ts";
import { Kubelet, type PodActions, type PodIdentity } from "./kubelet.ts";
import { chooseNode } from "./scheduler.ts";

const stored = { resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };

function node(name: string, more: Partial<Node> = {}): Node {
  return { apiVersion: "v1", kind: "Node", metadata: { ...stored, name, uid: name }, ...more };
}

function pod(name: string, more: { spec?: object; status?: object; metadata?: object } = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...stored, name, uid: `${name}-uid`, namespace: "shop", ...more.metadata },
    spec: { containers: [{ name: "c", image: "i" }], ...more.spec },
    status: { ...more.status },
  };
}

const ready = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };

describe("chooseNode", () => {
  const on = (name: string, nodeName: string, phase = "Running"): Pod =>
    pod(name, { spec: { nodeName }, status: { phase } });

  test("takes the node with the fewest pods that run, the first by name among equals", () => {
    const nodes = [node("b"), node("a"), node("c")];
    assert.equal(chooseNode(pod("p"), nodes, []), "a");
    assert.equal(chooseNode(pod("p"), nodes, [on("1", "a"), on("2", "b")]), "c");
    const done = [on("1", "a", "Succeeded"), on("2", "b"), on("3", "c")];
    assert.equal(chooseNode(pod("p"), nodes, done), "a");
  });

  test("heeds nodeSelector and cordoned nodes, and waits when none is left", () => {
    const labelled = node("b");
    labelled.metadata.labels = { disk: "ssd" };
    const nodes = [node("a"), labelled];
    assert.equal(chooseNode(pod("p", { spec: { nodeSelector: { disk: "ssd" } } }), nodes, []), "b");
    assert.equal(
      chooseNode(pod("p", { spec: { nodeSelector: { disk: "hdd" } } }), nodes, []),
      undefined,
    );
    assert.equal(
      chooseNode(pod("p"), [node("a", { spec: { unschedulable: true } }), node("z")], []),
      "z",
    );
  });
});

describe("planDeployment", () => {
  function deployment(replicas: number, image = "one"): Deployment {
    return {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { ...stored, name: "web", uid: "d", namespace: "shop", generation: 3 },
      spec: {
        replicas,
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: { containers: [{ name: "web", image }] },
        },
      },
    };
  }

  /** The pods that a plan makes, as the API server and a kubelet would have them. */
  function made(plan: ReturnType<typeof planDeployment>, prefix: string, status = {}): Pod[] {
    return plan.create
      .map((wanted, index) =>
        pod(`${prefix}${index}`, { metadata: wanted.metadata, spec: wanted.spec ?? {}, status }),
      )
      .map((each, index) => {
        each.metadata.name = `${prefix}${index}`;
        return each;
      });
  }

  test("makes the pods that are missing, with its labels, its owner and nothing else", () => {
    const { create, remove } = planDeployment(deployment(2), []);
    assert.equal(create.length, 2);
    assert.deepEqual(remove, []);
    const [first] = create;
    assert.equal(first?.metadata.labels?.["app"], "web");
    assert.ok(first?.metadata.labels?.[templateHashLabel]);
    assert.equal(first?.metadata.ownerReferences?.[0]?.uid, "d");
    assert.deepEqual(first?.spec?.containers, [{ name: "web", image: "one" }]);
  });

  test("is satisfied with its number of pods, and leaves those of others alone", () => {
    const pods = [...made(planDeployment(deployment(2), []), "p", ready), pod("stranger")];
    const { create, remove, status } = planDeployment(deployment(2), pods);
    assert.deepEqual([create, remove], [[], []]);
    assert.equal(status.readyReplicas, 2);
    assert.equal(status.observedGeneration, 3);
  });

  test("scales down by the pods that are not ready first", () => {
    const pods = made(planDeployment(deployment(3), []), "p", ready);
    const [, second] = pods;
    assert.ok(second);
    second.status = { phase: "Pending" };
    assert.deepEqual(planDeployment(deployment(2), pods).remove, ["p1"]);
  });

  test("keeps old pods until new ones are ready in their place", () => {
    const old = made(planDeployment(deployment(2, "one"), []), "old", ready);
    const plan = planDeployment(deployment(2, "two"), old);
    assert.equal(plan.create.length, 2);
    assert.deepEqual(plan.remove, []);
    const fresh = made(plan, "new");
    assert.deepEqual(planDeployment(deployment(2, "two"), [...old, ...fresh]).remove, []);
    const [first] = fresh;
    assert.ok(first);
    first.status = ready;
    assert.deepEqual(planDeployment(deployment(2, "two"), [...old, ...fresh]).remove, ["old1"]);
    for (const one of fresh) one.status = ready;
    assert.deepEqual(planDeployment(deployment(2, "two"), [...old, ...fresh]).remove, [
      "old0",
      "old1",
    ]);
  });

  test("replaces pods that have ended", () => {
    const pods = made(planDeployment(deployment(1), []), "p", { phase: "Failed" });
    const { create, remove } = planDeployment(deployment(1), pods);
    assert.equal(create.length, 1);
    assert.deepEqual(remove, ["p0"]);
  });
});

describe("endpointSetsOf", () => {
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...stored, name: "web", namespace: "shop", uid: "s" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
  };

  function member(name: string, ip: string[], port: number, more: object = ready): Pod {
    return pod(name, {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "c", ports: [{ name: "http", containerPort: port }] }] },
      status: { ...more, podIPs: ip.map((one) => ({ ip: one })) },
    });
  }

  const none = new Map<string, Node>();
  const inZones = new Map(
    ["a", "b", "c", "d"].map((name, index) => {
      const made = node(name);
      made.metadata.labels = { "topology.kubernetes.io/zone": index < 2 ? "east" : "west" };
      return [name, made] as const;
    }),
  );
  const setsOf = (of: Service, pods: Pod[], nodes = none): readonly EndpointSet[] =>
    endpointSetsOf(of, pods, nodes);

  test("one set for each family, with the named port's number", () => {
    const slices = setsOf(service, [member("a", ["10.0.0.1", "fd00::1"], 8080)]);
    assert.deepEqual(
      slices.map(({ addressType, ports, endpoints }) => [
        addressType,
        ports?.[0]?.port,
        endpoints.map(({ addresses }) => addresses),
      ]),
      [
        ["IPv4", 8080, [["10.0.0.1"]]],
        ["IPv6", 8080, [["fd00::1"]]],
      ],
    );
  });

  test("pods that give the name different numbers go to different sets", () => {
    const pods = [member("a", ["10.0.0.1"], 8080), member("b", ["10.0.0.2"], 9090)];
    const ports = setsOf(service, pods).map((slice) => slice.ports[0]?.port);
    assert.deepEqual(ports, [8080, 9090]);
  });

  test("a pod that is not ready is listed as such; strangers and ended pods are not listed", () => {
    const pods = [
      member("a", ["10.0.0.1"], 8080, { phase: "Running" }),
      member("b", ["10.0.0.2"], 8080, { phase: "Succeeded" }),
      pod("c", { status: { ...ready, podIPs: [{ ip: "10.0.0.3" }] } }),
    ];
    const endpoints = setsOf(service, pods).flatMap((slice) => slice.endpoints);
    assert.deepEqual(
      endpoints.map(({ addresses, conditions }) => [addresses, conditions?.ready]),
      [[["10.0.0.1"], false]],
    );
  });

  test("a Service without a selector has none", () => {
    const { selector: _selector, ...spec } = service.spec ?? {};
    assert.deepEqual(setsOf({ ...service, spec }, [pod("a", { status: ready })]), []);
  });

  test("only families of the Service count", () => {
    const single = { ...service, spec: { ...service.spec, ipFamilies: ["IPv6"] } };
    const sets = setsOf(single, [member("a", ["10.0.0.1", "fd00::1"], 8080)]);
    assert.deepEqual(
      sets.map(({ addressType }) => addressType),
      ["IPv6"],
    );
  });

  test("a pod that ends serves as long as it is ready, and is published if the Service says so", () => {
    const ending = member("a", ["10.0.0.1"], 8080);
    ending.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    const starting = member("b", ["10.0.0.2"], 8080, { phase: "Running" });
    const conditionsOf = (of: Service) =>
      setsOf(of, [ending, starting]).flatMap(({ endpoints }) =>
        endpoints.map(({ conditions }) => conditions),
      );
    assert.deepEqual(conditionsOf(service), [
      { ready: false, serving: true, terminating: true },
      { ready: false, serving: false, terminating: false },
    ]);
    const all = { ...service, spec: { ...service.spec, publishNotReadyAddresses: true } };
    assert.deepEqual(conditionsOf(all), [
      { ready: true, serving: true, terminating: true },
      { ready: true, serving: false, terminating: false },
    ]);
  });

  test("an endpoint names its node, its zone, and its host name under the Service", () => {
    const own = member("a", ["10.0.0.1"], 8080);
    Object.assign(own.spec ?? {}, { nodeName: "c", hostname: "db-0", subdomain: "web" });
    const [set] = setsOf(service, [own], inZones);
    const [{ nodeName, zone, hostname } = {}] = set?.endpoints ?? [];
    assert.deepEqual([nodeName, zone, hostname], ["c", "west", "db-0"]);
  });

  function hintsOf(changes: object, annotations: Record<string, string> = {}, count = 6) {
    const placed = Array.from({ length: count }, (_, index) => {
      const each = member(`p${index}`, [`10.0.0.${index + 1}`], 8080);
      // Two of three in the east.
      Object.assign(each.spec ?? {}, { nodeName: index % 3 === 2 ? "c" : "a" });
      return each;
    });
    const metadata = { ...service.metadata, annotations };
    const of = { ...service, metadata, spec: { ...service.spec, ...changes } };
    return setsOf(of, placed, inZones).flatMap(({ endpoints }) =>
      endpoints.map(({ hints }) => hints),
    );
  }

  test("a distribution by zone or node is told by hints", () => {
    const [east, west] = [{ forZones: [{ name: "east" }] }, { forZones: [{ name: "west" }] }];
    for (const trafficDistribution of ["PreferClose", "PreferSameZone"]) {
      assert.deepEqual(hintsOf({ trafficDistribution }, {}, 3), [east, east, west]);
    }
    assert.deepEqual(hintsOf({ trafficDistribution: "PreferSameNode" }, {}, 3)[2], {
      ...west,
      forNodes: [{ name: "c" }],
    });
    assert.deepEqual(hintsOf({}, {}, 3), [undefined, undefined, undefined]);
  });

  test("the automatic mode spreads by the zones' nodes, if there are endpoints enough", () => {
    const auto = { "service.kubernetes.io/topology-mode": "Auto" };
    const zones = hintsOf({}, auto).map((hints) => hints?.forZones?.[0]?.name ?? "");
    assert.deepEqual(
      zones.toSorted((a, b) => a.localeCompare(b)),
      ["east", "east", "east", "west", "west", "west"],
    );
    assert.deepEqual(hintsOf({}, auto, 5), Array(5).fill(undefined));
  });
});

describe("Kubelet", () => {
  function kubelet(attaches = true): { kubelet: Kubelet; done: string[] } {
    const done: string[] = [];
    const note =
      (what: string) =>
      async ({ key, uid }: PodIdentity) => {
        done.push(`${what} ${key} ${uid}`);
      };
    const actions: PodActions = {
      attach: async (identity) => {
        await note("attach")(identity);
        if (!attaches) throw new Error("no agent");
        return { addresses: ["10.0.0.1"] };
      },
      detach: note("detach"),
      listen: note("listen"),
      silence: note("silence"),
    };
    const made = new Kubelet({
      actions,
      writes: {
        updateStatus: async (_pod, { phase }) => void done.push(`status ${phase}`),
        remove: async ({ metadata }) => void done.push(`remove ${metadata.name}`),
      },
      addressesOf: () => ["172.30.0.10"],
      now: () => "2026-01-01T00:00:00Z",
      later: (key, delayMs) => void done.push(`later ${key} ${delayMs}`),
    });
    return { kubelet: made, done };
  }

  const placed = (uid: string, metadata = {}, status = {}): Pod =>
    pod("a", { metadata: { uid, ...metadata }, spec: { nodeName: "n" }, status });

  test("a placed pod is attached, listens and then runs; once", async () => {
    const { kubelet: one, done } = kubelet();
    one.setPod("shop/a", placed("1"));
    await one.reconcile("shop/a");
    one.setPod("shop/a", placed("1", {}, { phase: "Running", podIP: "10.0.0.1" }));
    await one.reconcile("shop/a");
    assert.deepEqual(done, ["attach shop/a 1", "listen shop/a 1", "status Running"]);
  });

  test("a deleted pod falls silent, is detached and then goes", async () => {
    const { kubelet: one, done } = kubelet();
    one.setPod("shop/a", placed("1"));
    await one.reconcile("shop/a");
    done.length = 0;
    one.setPod("shop/a", placed("1", { deletionTimestamp: "2026-01-01T00:00:00Z" }));
    await one.reconcile("shop/a");
    assert.deepEqual(done, ["silence shop/a 1", "detach shop/a 1", "remove a"]);
  });

  test("a deleted pod that something holds serves until its grace period is over", async () => {
    const { kubelet: one, done } = kubelet();
    one.setPod("shop/a", placed("1"));
    await one.reconcile("shop/a");
    done.length = 0;
    const deleted = { deletionTimestamp: "2025-12-31T23:59:50Z", finalizers: ["test/held"] };
    one.setPod("shop/a", placed("1", { ...deleted, deletionGracePeriodSeconds: 30 }));
    await one.reconcile("shop/a");
    assert.deepEqual(done, ["later shop/a 20000"]);
    one.setPod("shop/a", placed("1", { ...deleted, deletionGracePeriodSeconds: 5 }));
    await one.reconcile("shop/a");
    assert.deepEqual(done.slice(1), ["silence shop/a 1", "detach shop/a 1", "remove a"]);
  });

  test("a pod that could not be attached is detached all the same when it is deleted", async () => {
    const { kubelet: one, done } = kubelet(false);
    one.setPod("shop/a", placed("1"));
    await assert.rejects(one.reconcile("shop/a"), /no agent/);
    one.setPod("shop/a", undefined);
    await one.reconcile("shop/a");
    await one.reconcile("shop/a");
    assert.deepEqual(done, ["attach shop/a 1", "silence shop/a 1", "detach shop/a 1"]);
  });

  test("a pod that was made again under its name is another one", async () => {
    const { kubelet: one, done } = kubelet();
    one.setPod("shop/a", placed("1"));
    await one.reconcile("shop/a");
    done.length = 0;
    one.setPod("shop/a", placed("2"));
    await one.reconcile("shop/a");
    assert.deepEqual(done.slice(0, 3), ["silence shop/a 1", "detach shop/a 1", "attach shop/a 2"]);
  });
});
