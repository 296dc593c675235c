// How many flows policies cost, counted on a switch.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { FlowChanges } from "../../src/pipeline/flow-store.ts";
import { LocalNumbers } from "../../src/pipeline/numbers.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { type TableName, tableNames } from "../../src/pipeline/tables.ts";
import type {
  EndpointResource,
  GroupResource,
  PortMatch,
  PostureResource,
  Resource,
  RuleResource,
} from "../../src/southbound/resources.ts";
import { OpenVswitch } from "./open-vswitch.ts";
import { TracedBridge } from "./traced-bridge.ts";

const policyTables = tableNames.filter((name) => /^(Egress|Ingress|Region)/.test(name));

function names(prefix: string, length: number): string[] {
  return Array.from({ length }, (_, index) => `${prefix}${String(index).padStart(4, "0")}`);
}

function group(
  id: string,
  identities: readonly string[],
  cidrs: readonly string[] = [],
): GroupResource {
  return { kind: "group", id, identities, networks: cidrs.map((cidr) => ({ cidr, except: [] })) };
}

/** Isolated in both directions. */
function posture(id: string, policies: readonly string[] = ["p"]): PostureResource {
  return { kind: "posture", id, egress: policies, ingress: policies };
}

function rule(id: string, more: Partial<RuleResource> = {}): RuleResource {
  return {
    kind: "rule",
    id,
    direction: "ingress",
    tier: "networkpolicy",
    priority: 0,
    action: "allow",
    subjects: ["A"],
    peers: ["B"],
    ports: [{ protocol: "TCP", from: 80, to: 80 }],
    policy: id,
    ruleIndex: 0,
    ...more,
  };
}

/** Ports that are far apart, so that none shares a flow with another. */
function ports(length: number): PortMatch[] {
  return Array.from({ length }, (_, index) => {
    const port = 1000 + 7 * index;
    return { protocol: "TCP", from: port, to: port };
  });
}

function endpoint(id: string, host: number, identity: string, node: string): EndpointResource {
  return {
    kind: "endpoint",
    id,
    domain: "default",
    node,
    addresses: [`10.0.${host >> 8}.${host & 255}`, `fd00::${host.toString(16)}`],
    mac: "0a:00:00:00:00:07",
    identity,
  };
}

function changed({ upserts, deletes }: FlowChanges): number {
  return upserts.length + deletes.length;
}

const base: readonly Resource[] = [
  { kind: "domain", id: "default", vni: 7, pools: ["10.0.0.0/8", "fd00::/16"] },
  { kind: "node", id: "n1", addresses: ["172.18.0.11"] },
  { kind: "node", id: "n2", addresses: ["172.18.0.12"] },
];

describe("policies cost few flows", () => {
  let ovs: OpenVswitch;
  let bridge: TracedBridge;
  let pipeline: Pipeline;

  before(async () => {
    ovs = await OpenVswitch.start();
    bridge = await TracedBridge.create(ovs, "n1", { plain: [1, 2], tunnel: 200, udpPort: 4789 });
  });

  after(async () => {
    await bridge[Symbol.asyncDispose]();
    await ovs[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    await bridge.change({ upserts: [], deletes: [...(pipeline?.flows() ?? [])] });
    pipeline = new Pipeline({ node: "n1", numbers: new LocalNumbers() });
    pipeline.applyLocal({ upserts: [{ kind: "tunnel", id: "t", ofport: 200 }], deletes: [] });
    await bridge.change({ upserts: [...pipeline.flows()], deletes: [] });
    await apply(...base);
  });

  async function apply(...upserts: readonly Resource[]): Promise<FlowChanges> {
    const changes = pipeline.apply({ upserts, deletes: [] });
    await bridge.change(changes);
    return changes;
  }

  async function count(...tables: readonly TableName[]): Promise<number> {
    const counts = await bridge.countFlows();
    return tables.reduce((sum, table) => sum + (counts.get(table) ?? 0), 0);
  }

  for (const direction of ["ingress", "egress"] as const) {
    for (const [a, b, r] of [
      [1, 1, 1],
      [20, 30, 10],
      [200, 300, 50],
    ] as const) {
      test(`${direction} between ${a} and ${b} identities on ${r} ports: at most the sum and 8`, async () => {
        const subjects = names("a", a);
        await apply(
          group("A", subjects),
          group("B", names("b", b)),
          ...subjects.map((id) => posture(id)),
        );
        const earlier = await count(...policyTables);
        const changes = await apply(rule("r", { direction, ports: ports(r) }));
        const cost = (await count(...policyTables)) - earlier;
        assert.ok(cost <= a + b + r + 8, `${cost} flows`);
        assert.equal(changed(changes), cost);
        // One for each clause's member, one for the verdict, one for later fragments.
        assert.equal(cost, a + b + r + 2);
      });
    }
  }

  test("a rule for subjects that are elsewhere costs none of theirs", async () => {
    await apply(group("A", names("a", 100)), group("B", ["b"]), posture("a0000"));
    const changes = await apply(rule("r"));
    assert.equal(changed(changes), 1 + 1 + 1 + 2);
  });

  test("a rule between known groups on a known port costs one more flow, and changes the shared ones", async () => {
    await apply(group("A", ["a"]), group("B", ["b"]), posture("a"), rule("r1"));
    const earlier = await count(...policyTables);
    await apply(rule("r2"));
    assert.equal((await count(...policyTables)) - earlier, 1);
  });

  describe("of an endpoint that joins a group named by 1,000 policies", () => {
    const rules = names("r", 1000).map((id, index) =>
      rule(id, { ports: [{ protocol: "TCP", from: 1000 + index, to: 1000 + index }] }),
    );

    beforeEach(async () => {
      await apply(group("A", ["a"]), group("B", ["b"]), posture("a"), ...rules);
      await apply(endpoint("x/b", 1, "b", "n2"));
    });

    test("two when the identity is known, one for each address", async () => {
      const flows = pipeline.length;
      const changes = await apply(endpoint("x/new", 2, "b", "n2"));
      assert.equal(changed(changes), 2);
      assert.equal(pipeline.length, flows + 2);
    });

    test("three when the identity is new on the node", async () => {
      const changes = await apply(group("B", ["b", "new"]), endpoint("x/new", 2, "new", "n2"));
      assert.equal(changed(changes), 3);
      const earlier = [...pipeline.flows()].length;
      const left = pipeline.apply({
        upserts: [group("B", ["b"])],
        deletes: [{ kind: "endpoint", id: "x/new" }],
      });
      await bridge.change(left);
      assert.equal(changed(left), 3);
      assert.equal([...pipeline.flows()].length, earlier - 3);
    });

    test("and none of the policy tables when it moves to another node", async () => {
      const changes = await apply(endpoint("x/b", 1, "b", "n3"));
      assert.deepEqual([changes.upserts.length, changes.deletes.length], [2, 0]);
    });
  });

  test("becoming isolated exchanges one flow a direction", async () => {
    await apply(posture("a", []));
    const flows = await count(...policyTables);
    const changes = await apply(posture("a"));
    assert.equal(changed(changes), 2);
    assert.equal(await count(...policyTables), flows);
  });

  test("networks cost a flow for each prefix, and a rule one for each region of its groups", async () => {
    const cidrs = names("", 200).map((_, index) => `198.${index}.0.0/16`);
    await apply(group("A", ["a"]), posture("a"));
    const earlier = await count(...policyTables);
    await apply({
      kind: "group",
      id: "B",
      identities: [],
      networks: [{ cidr: "0.0.0.0/0", except: cidrs }],
    });
    assert.equal((await count(...policyTables)) - earlier, 201);
    // Of the 201 regions the group has but one: everything that is in no exception.
    assert.equal(changed(await apply(rule("r", { ports: "any" }))), 1 + 1 + 1);
  });

  test("more rules than fit into one flow's message are all in force", async () => {
    const length = 8000;
    await apply(group("A", ["a"]), group("B", ["b"]), posture("a", ["p"]));
    await apply(endpoint("x/a", 1, "a", "n1"), endpoint("x/b", 2, "b", "n2"));
    await bridge.change(
      pipeline.applyLocal({ upserts: [{ kind: "port", id: "x/a", ofport: 1 }], deletes: [] }),
    );
    const earlier = await count(...policyTables);
    await apply(
      ...names("r", length).map((id, index) =>
        rule(id, { ports: [{ protocol: "TCP", from: index + 1, to: index + 1 }] }),
      ),
    );
    const bands = Math.ceil(length / 3500);
    // Verdicts and ports of each rule; subject, peer and later fragments of each band.
    assert.equal((await count(...policyTables)) - earlier, 2 * length + 3 * bands);
    const router = "0a:15:0b:a2:00:01";
    for (const port of [1, 3499, 3500, 3501, 7000, 7001, 8000, 8001]) {
      const packet =
        `in_port=200,tun_src=172.18.0.12,tun_id=7,dl_src=${router},dl_dst=${router},` +
        `tcp,nw_src=10.0.0.2,nw_dst=10.0.0.1,nw_ttl=64,tcp_dst=${port}`;
      const { outputs, text } = await bridge.trace(packet, "trk,new");
      assert.deepEqual(outputs, port <= length ? [1] : [], `${port}\n${text}`);
    }
  });
});
