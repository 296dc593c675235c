// What a change costs: which resources it sends to which nodes, and how much is done for it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Endpoint } from "../model/endpoint.ts";
import type { EndpointSelector, Policy, Service } from "../model/policy.ts";
import { keyText } from "../southbound/encoded.ts";
import { Compute, type ComputeDelta } from "./graph.ts";

function endpoint(zone: string, index: number, app: string, node: string): Endpoint {
  return {
    id: `${zone}/${app}-${index}`,
    zone,
    labels: { app, "pod-template-hash": `hash-${index % 7}` },
    namedPorts: [{ name: "http", protocol: "TCP", port: 8080 + (index % 2) }],
    domain: "default",
    addresses: [`10.0.${index >> 8}.${index & 255}`],
    mac: "",
    node,
  };
}

function select(zone: string, app: string): EndpointSelector {
  return {
    zones: { kind: "name", name: zone },
    endpoints: { matchLabels: { app }, matchExpressions: [] },
  };
}

/** Lets `from` in. */
function allow(
  name: string,
  subject: EndpointSelector,
  from: EndpointSelector,
  services: readonly Service[] | "any" = "any",
): Policy {
  return {
    id: name,
    tier: "networkpolicy",
    priority: 0,
    subject,
    isolates: ["ingress"],
    ingress: [{ index: 0, action: "allow", peers: [{ kind: "endpoints", ...from }], services }],
    egress: [],
  };
}

/** `kind/id` of what each node is told, and of what all are told, sorted. */
function told(delta: ComputeDelta): Record<string, readonly string[]> {
  const keys = (part: ReturnType<ComputeDelta["of"]>) =>
    [...part.upserts(), ...part.deletes()].map(keyText).toSorted();
  const nodes = [...delta.byNode].map(([node, own]) => [node, keys(own)] as const);
  return Object.fromEntries([["everybody", keys(delta.endpoints)] as const, ...nodes]);
}

/**
 * A hundred nodes; on each an endpoint `web` in zone `front`; on the first three one `api` in zone `back`; and `count`
 * policies that let web into other endpoints.
 */
function build(count: number): Compute {
  const compute = new Compute();
  for (const name of ["front", "back", "other"]) compute.setZone(name, { name, labels: { name } });
  for (let index = 0; index < 100; index++) {
    const web = endpoint("front", index, "web", `node-${index}`);
    compute.setEndpoint(web.id, web);
  }
  for (let index = 0; index < 3; index++) {
    const api = endpoint("back", 1000 + index, "api", `node-${index}`);
    compute.setEndpoint(api.id, { ...api, namedPorts: [] });
  }
  for (let index = 0; index < count; index++) {
    const policy = allow(
      `policy-${index}`,
      select("other", `app-${index}`),
      select("front", "web"),
    );
    compute.setPolicy(policy.id, policy);
  }
  compute.flush();
  return compute;
}

/** What the work counters gained by a flush. */
function workOf(compute: Compute, flush: () => void): Record<string, number> {
  const before = Object.entries(compute.work);
  flush();
  const after = new Map(Object.entries(compute.work));
  return Object.fromEntries(before.map(([name, count]) => [name, (after.get(name) ?? 0) - count]));
}

describe("cost of a change", () => {
  test("an endpoint that joins a group named by 1,000 policies costs everybody one endpoint", () => {
    const compute = build(1000);
    const web = endpoint("front", 500, "web", "node-7");
    compute.setEndpoint(web.id, web);
    const work = workOf(compute, () => {
      assert.deepEqual(told(compute.flush()), { everybody: [`endpoint/${web.id}`] });
    });
    assert.deepEqual(work, { placed: 1, tried: 0, moved: 0, expanded: 0, judged: 0, settled: 0 });
  });

  test("the first endpoint of an identity also costs the nodes with a subject the group, once", () => {
    const compute = build(1000);
    const target = endpoint("other", 2000, "app-5", "node-5");
    compute.setEndpoint(target.id, target);
    compute.flush();
    const web = endpoint("front", 500, "web", "node-7");
    compute.setEndpoint(web.id, { ...web, labels: { app: "web", tier: "new" } });
    assert.deepEqual(told(compute.flush()), {
      everybody: [`endpoint/${web.id}`],
      "node-5": ["group/front app=web"],
      "node-7": ["posture/default front app=web,tier=new"],
    });
  });

  test("the 1,000th policy is told only to nodes with a subject of it", () => {
    const compute = build(999);
    const policy = allow("last", select("back", "api"), select("front", "web"));
    compute.setPolicy(policy.id, policy);
    const work = workOf(compute, () => {
      const own = [
        "group/back app=api",
        "group/front app=web",
        "posture/default back app=api",
        "rule/last ingress 0 back app=api",
      ];
      assert.deepEqual(told(compute.flush()), {
        everybody: [],
        "node-0": own,
        "node-1": own,
        "node-2": own,
      });
    });
    assert.deepEqual(work, { placed: 0, tried: 1, moved: 1, expanded: 1, judged: 1, settled: 6 });
  });

  test("a policy whose subjects are nowhere is told to nobody", () => {
    const compute = build(10);
    const policy = allow("nobody", select("other", "absent"), select("front", "web"));
    compute.setPolicy(policy.id, policy);
    assert.deepEqual(told(compute.flush()), { everybody: [] });
  });

  test("a policy by an unusual key re-identifies the endpoints of its zone that have the key, and no others", () => {
    const compute = build(10);
    const policy = allow("unusual", select("back", "api"), {
      zones: { kind: "name", name: "back" },
      endpoints: {
        matchLabels: {},
        matchExpressions: [{ key: "pod-template-hash", operator: "Exists", values: [] }],
      },
    });
    compute.setPolicy(policy.id, policy);
    const work = workOf(compute, () => {
      assert.equal([...compute.flush().endpoints.upserts()].length, 3);
    });
    assert.equal(work["placed"], 3);
  });

  test("a named port becomes one rule for each number, on the nodes that have it", () => {
    const compute = build(0);
    const policy = allow("named", select("front", "web"), select("back", "api"), [
      { kind: "named", protocol: "TCP", name: "http" },
    ]);
    compute.setPolicy(policy.id, policy);
    const delta = told(compute.flush());
    const rules = (node: string) => delta[node]?.filter((key) => key.startsWith("rule/"));
    assert.deepEqual(rules("node-4"), ["rule/named ingress 0 front app=web :TCP/http=8080"]);
    assert.deepEqual(rules("node-5"), ["rule/named ingress 0 front app=web :TCP/http=8081"]);
  });

  test("a policy's cost is counted in identities, and its span has reasons", () => {
    const compute = build(0);
    const policy = allow("counted", select("back", "api"), select("front", "web"), [
      { kind: "ports", protocol: "TCP", from: 80, to: 80 },
      { kind: "protocol", protocol: "UDP" },
    ]);
    compute.setPolicy(policy.id, policy);
    compute.flush();
    assert.deepEqual(compute.costOf("counted"), [
      {
        id: "counted ingress 0 back app=api",
        direction: "ingress",
        ruleIndex: 0,
        subjects: 1,
        peers: 1,
        ports: 2,
        nodes: ["node-0", "node-1", "node-2"],
      },
    ]);
    assert.deepEqual(compute.explainSpan("counted", "node-2"), [
      { rule: "counted ingress 0 back app=api", identities: ["default back app=api"] },
    ]);
    assert.deepEqual(compute.explainSpan("counted", "node-3"), []);
    assert.deepEqual(compute.costOf("absent"), []);
  });

  test("what is set to an equal value is told to nobody", () => {
    const compute = build(10);
    const web = endpoint("front", 3, "web", "node-3");
    compute.setEndpoint(web.id, web);
    compute.setZone("front", { name: "front", labels: { name: "front" } });
    const policy = allow("policy-3", select("other", "app-3"), select("front", "web"));
    compute.setPolicy(policy.id, policy);
    assert.deepEqual(told(compute.flush()), { everybody: [] });
  });

  test("a group is found among many identities of its zone and among few of other zones", () => {
    const compute = new Compute();
    for (const name of ["front", "back"]) compute.setZone(name, { name, labels: {} });
    for (const app of ["a", "b", "c", "d", "e", "f"]) {
      compute.setEndpoint(app, endpoint("front", 1, app, "node-1"));
    }
    compute.setEndpoint("other", endpoint("back", 1, "web", "node-2"));
    compute.flush();
    compute.setPolicy("p", allow("p", select("front", "web"), select("front", "a")));
    assert.deepEqual(told(compute.flush()), { everybody: [] });
  });
});
