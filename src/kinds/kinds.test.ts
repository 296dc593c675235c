import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { StatusError } from "../apimachinery/errors.ts";
import { isObject, type JsonObject } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import {
  apiVersionOf,
  applyDefaults,
  decodeObject,
  validateObject,
} from "../apimachinery/object.ts";
import { OpenApiComponents } from "../apimachinery/openapi.ts";
import type { Schema } from "../apimachinery/schema.ts";
import { renderTable } from "../apimachinery/table.ts";
import { kinds } from "./kinds.ts";

const uid = "6b8f6c2e-3f4e-4f7a-9a51-0c3a4f9b6d11";
const pod = { containers: [{ name: "web", image: "nginx:1.29" }] };
const template = { metadata: { labels: { app: "web" } }, spec: pod };

/** For each kind the least that a client may send, and what the object becomes with its defaults. */
const samples: Readonly<Record<string, { sent: JsonObject; defaulted: JsonObject }>> = {
  "v1/ConfigMap": { sent: { data: { a: "b" } }, defaulted: { data: { a: "b" } } },
  "v1/Event": {
    sent: { involvedObject: { kind: "Pod", name: "web", namespace: "shop" } },
    defaulted: { involvedObject: { kind: "Pod", name: "web", namespace: "shop" } },
  },
  "v1/Namespace": { sent: {}, defaulted: {} },
  "v1/Node": { sent: {}, defaulted: {} },
  "v1/Pod": {
    sent: { spec: pod },
    defaulted: {
      spec: {
        containers: [
          {
            name: "web",
            image: "nginx:1.29",
            imagePullPolicy: "IfNotPresent",
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "File",
            resources: {},
          },
        ],
        restartPolicy: "Always",
        dnsPolicy: "ClusterFirst",
        schedulerName: "default-scheduler",
        terminationGracePeriodSeconds: 30,
        securityContext: {},
        enableServiceLinks: true,
      },
    },
  },
  "v1/Secret": {
    sent: { stringData: { a: "b€" }, data: { c: "ZA==" } },
    defaulted: { type: "Opaque", data: { a: "YuKCrA==", c: "ZA==" } },
  },
  "v1/ServiceAccount": { sent: {}, defaulted: {} },
  "v1/Service": {
    sent: { spec: { selector: { app: "web" }, ports: [{ port: 80 }] } },
    defaulted: {
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        internalTrafficPolicy: "Cluster",
        selector: { app: "web" },
        ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      },
    },
  },
  "apps/v1/Deployment": {
    sent: { spec: { selector: { matchLabels: { app: "web" } }, template } },
    defaulted: {
      spec: {
        replicas: 1,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: {
          type: "RollingUpdate",
          rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" },
        },
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "web",
                image: "nginx:1.29",
                imagePullPolicy: "IfNotPresent",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            dnsPolicy: "ClusterFirst",
            schedulerName: "default-scheduler",
            terminationGracePeriodSeconds: 30,
            securityContext: {},
          },
        },
      },
    },
  },
  "coordination.k8s.io/v1/Lease": { sent: { spec: {} }, defaulted: { spec: {} } },
  "discovery.k8s.io/v1/EndpointSlice": {
    sent: { addressType: "IPv4", ports: [{ port: 80 }] },
    defaulted: {
      addressType: "IPv4",
      endpoints: [],
      ports: [{ name: "", port: 80, protocol: "TCP" }],
    },
  },
  "events.k8s.io/v1/Event": {
    sent: {
      eventTime: "2026-01-01T00:00:00.000000Z",
      reportingController: "isobar.io/lab",
      reportingInstance: "lab",
      reason: "Started",
      action: "Start",
      type: "Normal",
      regarding: { kind: "Pod", name: "web", namespace: "shop" },
    },
    defaulted: {
      eventTime: "2026-01-01T00:00:00.000000Z",
      reportingController: "isobar.io/lab",
      reportingInstance: "lab",
      reason: "Started",
      action: "Start",
      type: "Normal",
      regarding: { kind: "Pod", name: "web", namespace: "shop" },
    },
  },
  "networking.k8s.io/v1/NetworkPolicy": {
    sent: {},
    defaulted: { spec: { podSelector: {}, policyTypes: ["Ingress"] } },
  },
  "policy.networking.k8s.io/v1alpha2/ClusterNetworkPolicy": {
    sent: { spec: { tier: "Admin", priority: 10, subject: { namespaces: {} } } },
    defaulted: { spec: { tier: "Admin", priority: 10, subject: { namespaces: {} } } },
  },
  "isobar.io/v1alpha1/Domain": {
    sent: { spec: { vni: 100, pools: ["10.0.0.0/8", "2001:db8::/32"] } },
    defaulted: {
      spec: {
        vni: 100,
        pools: ["10.0.0.0/8", "2001:db8::/32"],
        networkPrefixLength: { ipv4: 24, ipv6: 64 },
      },
    },
  },
  "isobar.io/v1alpha1/Endpoint": {
    sent: {
      spec: {
        domain: "default",
        network: "shop-1",
        addresses: ["10.0.0.2", "2001:db8::2"],
        mac: "0a:00:00:00:00:02",
        attachment: { kind: "Pod", name: "web", uid },
      },
    },
    defaulted: {
      spec: {
        domain: "default",
        network: "shop-1",
        addresses: ["10.0.0.2", "2001:db8::2"],
        mac: "0a:00:00:00:00:02",
        attachment: { kind: "Pod", name: "web", uid },
      },
    },
  },
  "isobar.io/v1alpha1/LoadBalancer": {
    sent: { spec: { ports: [{ port: 80 }], members: [{ address: "192.0.2.9" }], healthCheck: {} } },
    defaulted: {
      spec: {
        ports: [{ port: 80, protocol: "TCP" }],
        members: [{ address: "192.0.2.9", weight: 1 }],
        healthCheck: {
          protocol: "TCP",
          path: "/",
          intervalSeconds: 5,
          timeoutSeconds: 2,
          healthyThreshold: 2,
          unhealthyThreshold: 3,
        },
        whenAllUnhealthy: "UseAll",
      },
    },
  },
  "isobar.io/v1alpha1/LoadBalancerAddress": {
    sent: { spec: { address: "192.0.2.1", pool: "edge", holders: [] } },
    defaulted: { spec: { address: "192.0.2.1", pool: "edge", holders: [] } },
  },
  "isobar.io/v1alpha1/LoadBalancerPool": {
    sent: { spec: { addresses: ["192.0.2.0/28"], announcement: {} } },
    defaulted: {
      spec: {
        addresses: ["192.0.2.0/28"],
        autoAssign: true,
        sharing: "Namespace",
        announcement: { protocol: "L2" },
      },
    },
  },
  "isobar.io/v1alpha1/Network": {
    sent: { spec: { domain: "default", cidrs: ["10.0.0.0/24"] } },
    defaulted: { spec: { domain: "default", cidrs: ["10.0.0.0/24"] } },
  },
};

function keyOf(kind: KindDefinition): string {
  return `${apiVersionOf(kind)}/${kind.kind}`;
}

/** Some names are not for their users to choose. */
function nameFor(kind: KindDefinition): string {
  return kind.kind === "LoadBalancerAddress" ? "192.0.2.1" : "web";
}

function metadataFor(kind: KindDefinition): JsonObject {
  return { name: nameFor(kind), ...(kind.namespaced && { namespace: "shop" }) };
}

function sampleOf(kind: KindDefinition): KubeObject {
  const body = { metadata: metadataFor(kind), ...structuredClone(samples[keyOf(kind)]?.sent) };
  return decodeObject(kind, body, "Strict").object;
}

test("every kind has a sample, and every sample a kind", () => {
  assert.deepEqual(Object.keys(samples).toSorted(), kinds.map(keyOf).toSorted());
});

for (const kind of kinds) {
  test(`${keyOf(kind)}: the least that a client may send is valid and gets its defaults`, () => {
    const object = applyDefaults(kind, sampleOf(kind));
    assert.deepEqual(validateObject(kind, object), []);
    const { apiVersion, kind: name, metadata, ...rest } = object;
    assert.equal(`${apiVersion}/${name}`, keyOf(kind));
    assert.equal(metadata.name, nameFor(kind));
    assert.deepEqual(rest, samples[keyOf(kind)]?.defaulted);
  });

  test(`${keyOf(kind)}: defaults do not change what has them, nor does it fail as an update`, () => {
    const object = applyDefaults(kind, sampleOf(kind));
    assert.deepEqual(applyDefaults(kind, structuredClone(object)), object);
    assert.deepEqual(validateObject(kind, structuredClone(object), object), []);
  });

  test(`${keyOf(kind)}: an unknown field is refused, and dropped where that is asked for`, () => {
    const body = { ...sampleOf(kind), surplus: 1 };
    assert.throws(
      () => decodeObject(kind, body, "Strict"),
      (error) => {
        assert.ok(error instanceof StatusError);
        assert.equal(error.status.code, 400);
        assert.equal(
          error.message,
          `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: strict decoding error: unknown field "surplus"`,
        );
        return true;
      },
    );
    const { object, warnings } = decodeObject(kind, body, "Warn");
    assert.deepEqual([object["surplus"], warnings], [undefined, ['unknown field "surplus"']]);
  });

  test(`${keyOf(kind)}: its table has a name, an age or a time, and a cell for each column`, () => {
    const object = applyDefaults(kind, sampleOf(kind));
    object.metadata.creationTimestamp = "2026-01-01T00:00:00Z";
    const now = new Date("2026-01-01T00:05:00Z");
    const table = renderTable(kind, [object], { now, metadata: { resourceVersion: "1" } });
    const cells = table.rows[0]?.cells ?? [];
    assert.equal(cells.length, kind.columns.length);
    assert.ok(cells.every((cell) => cell !== undefined));
    assert.equal(cells[kind.columns.findIndex(({ format }) => format === "name")], nameFor(kind));
    const age = kind.columns.findIndex(({ name }) => name === "Age");
    if (age >= 0) assert.equal(cells[age], "5m");
    else assert.equal(kind.columns[0]?.name, "Last Seen");
    for (const { description } of kind.columns) assert.match(description, /^[A-Z].*\.$/);
  });

  test(`${keyOf(kind)}: selectable fields have text for an object without a status`, () => {
    for (const read of Object.values(kind.selectableFields)) {
      assert.equal(typeof read(applyDefaults(kind, sampleOf(kind))), "string");
    }
  });

  test(`${keyOf(kind)}: any JSON is an object with findings or a Status, never a crash`, () => {
    const near = fittingValues(kind.schema, 7);
    let validated = 0;
    fc.assert(
      fc.property(
        fc.oneof({ weight: 1, arbitrary: fc.jsonValue() }, { weight: 9, arbitrary: near }),
        (body) => {
          const clean: unknown = JSON.parse(JSON.stringify(body));
          if (isObject(clean)) {
            delete clean["apiVersion"];
            delete clean["kind"];
          }
          let object: KubeObject;
          try {
            ({ object } = decodeObject(kind, clean));
          } catch (error) {
            assert.ok(error instanceof StatusError, String(error));
            return;
          }
          const initial = kind.initialStatus?.(object);
          const ready = applyDefaults(kind, object);
          const errors = validateObject(kind, ready);
          validated += 1;
          validateObject(kind, ready, structuredClone(ready));
          if (errors.length > 0) return;
          if (initial !== undefined) ready.status = initial;
          renderTable(kind, [ready], { now: new Date(0), metadata: {} });
        },
      ),
      { numRuns: 100 },
    );
    assert.ok(validated > 10, `only ${validated} of 100 bodies came as far as validation`);
  });
}

const odd = fc.constantFrom<unknown>(null, "", "a", -1, 0, 1.5, true, [], {});
const texts = fc.constantFrom(
  "",
  "a",
  "web",
  "TCP",
  "In",
  "10.0.0.0/8",
  "10.0.0.1",
  "1",
  "No good!",
);
const numbers = fc.constantFrom(-1, 0, 1, 80, 70_000, 2 ** 40);

/** Values that mostly fit the schema, most of their required fields there. */
function valuesFor(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 60, arbitrary: fittingValues(schema, depth) }, odd);
}

function fittingValues(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const { type = "any", properties, additionalProperties, items = {} } = schema;
  switch (type) {
    case "string":
      return schema.enum === undefined ? texts : fc.constantFrom(...schema.enum);
    case "integer":
      return numbers;
    case "boolean":
      return fc.boolean();
    case "array":
      return depth > 0 ? fc.array(valuesFor(items, depth - 1), { maxLength: 2 }) : fc.constant([]);
    case "object":
      break;
    default:
      return fc.oneof(texts, numbers);
  }
  if (depth === 0) return fc.constant({});
  if (typeof additionalProperties === "object") {
    const keys = fc.constantFrom("a", "cpu", "bad key");
    return fc.dictionary(keys, valuesFor(additionalProperties, depth - 1), { maxKeys: 2 });
  }
  const requiredKeys = [...(schema.required ?? [])];
  const all = Object.keys(properties ?? {});
  // Few of the many optional fields at a time, or nothing this large would ever be valid.
  return fc.subarray(all, { maxLength: Math.min(6, all.length) }).chain((names) => {
    const chosen = [...new Set([...names, ...requiredKeys])];
    const members: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(
      chosen.map((name) => [name, valuesFor(properties?.[name] ?? {}, depth - 1)]),
    );
    return fc.record(members, { requiredKeys });
  });
}

test("docs/kinds is what its tool writes", () => {
  const tool = new URL("../../tools/render-kinds.ts", import.meta.url);
  execFileSync(process.execPath, [tool.pathname, "--check"]);
});

test("names and short names are unambiguous within a group", () => {
  const names = kinds.flatMap((kind) =>
    [kind.plural, kind.singular, ...kind.shortNames].map((name) => `${kind.group}/${name}`),
  );
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
});

test("own kinds describe every field, and all kinds every reference", () => {
  for (const dialect of ["v2", "v3"] as const) {
    const components = new OpenApiComponents(dialect);
    for (const kind of kinds) components.render(kind.schema);
    const all = components.components();
    const text = JSON.stringify(all);
    const prefix = dialect === "v2" ? "#/definitions/" : "#/components/schemas/";
    for (const [, name = ""] of text.matchAll(/"\$ref":"([^"]*)"/g)) {
      assert.ok(name.startsWith(prefix) && all[name.slice(prefix.length)] !== undefined, name);
    }
    for (const name of ["Domain", "Network", "Endpoint"]) {
      assertDescribed(all[`io.isobar.v1alpha1.${name}`], name);
    }
  }
});

function assertDescribed(schema: unknown, path: string): void {
  assert.ok(isObject(schema), path);
  if (schema["$ref"] !== undefined) return;
  assert.equal(typeof schema["description"], "string", path);
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  for (const [name, member] of Object.entries(properties))
    assertDescribed(member, `${path}.${name}`);
}
