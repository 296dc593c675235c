import assert from "node:assert/strict";
import { test } from "node:test";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { decodeObject } from "../apimachinery/object.ts";
import { renderTable } from "../apimachinery/table.ts";
import { deploymentKind } from "./deployment.ts";
import { endpointSliceKind } from "./endpoint-slice.ts";
import { endpointKind } from "./endpoint.ts";
import { eventKind } from "./event.ts";
import { networkPolicyKind } from "./network-policy.ts";
import { nodeKind } from "./node.ts";
import { podKind } from "./pod.ts";
import { serviceKind } from "./service.ts";

const now = new Date("2026-01-01T01:00:00Z");

/** The cells of the columns given, by name. */
function cells(kind: KindDefinition, body: object, names: readonly string[]): unknown[] {
  const metadata = {
    name: "web",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...("metadata" in body && Object(body.metadata)),
  };
  const { object } = decodeObject(kind, { ...body, metadata }, "Strict");
  const { columnDefinitions, rows } = renderTable(kind, [object], { now, metadata: {} });
  return names.map(
    (name) => rows[0]?.cells[columnDefinitions.findIndex((each) => each.name === name)],
  );
}

const containers = [
  { name: "web", image: "x" },
  { name: "log", image: "x" },
];
const running = { ready: true, state: { running: {} } };
const base = { image: "x", imageID: "", ready: false, restartCount: 0 };
const done = { state: { terminated: { exitCode: 0, reason: "Completed" } } };

/** A pod whose containers have these states. */
function podWith(
  states: readonly object[],
  more: { init?: readonly object[]; status?: object; metadata?: object; spec?: object } = {},
): object {
  const { init = [], status = {}, metadata = {}, spec = {} } = more;
  return {
    metadata,
    spec: {
      containers,
      initContainers: init.map((_, index) => ({ name: `init-${index}`, image: "x" })),
      ...spec,
    },
    status: {
      phase: "Running",
      containerStatuses: states.map((state, index) => ({
        ...base,
        name: containers[index]?.name,
        ...state,
      })),
      initContainerStatuses: init.map((state, index) => ({
        ...base,
        name: `init-${index}`,
        ...state,
      })),
      ...status,
    },
  };
}

const pods: readonly (readonly [string, object, readonly string[]])[] = [
  ["nothing known", { spec: { containers } }, ["0/2", "", "0"]],
  ["pending", podWith([], { status: { phase: "Pending" } }), ["0/2", "Pending", "0"]],
  ["running", podWith([running, running]), ["2/2", "Running", "0"]],
  [
    "one waiting",
    podWith([running, { state: { waiting: { reason: "ContainerCreating" } } }]),
    ["1/2", "ContainerCreating", "0"],
  ],
  [
    "crashing",
    podWith([
      running,
      {
        restartCount: 3,
        state: { waiting: { reason: "CrashLoopBackOff" } },
        lastState: { terminated: { exitCode: 1, finishedAt: "2026-01-01T00:55:00Z" } },
      },
    ]),
    ["1/2", "CrashLoopBackOff", "3 (5m ago)"],
  ],
  [
    "ended with a code",
    podWith([{ state: { terminated: { exitCode: 3 } } }]),
    ["0/2", "ExitCode:3", "0"],
  ],
  [
    "ended by a signal",
    podWith([{ state: { terminated: { exitCode: 137, signal: 9 } } }]),
    ["0/2", "Signal:9", "0"],
  ],
  [
    "completed",
    podWith([done, done], { status: { phase: "Succeeded" } }),
    ["0/2", "Completed", "0"],
  ],
  ["completed beside a running one", podWith([done, running]), ["1/2", "NotReady", "0"]],
  [
    "completed beside a running one, ready",
    podWith([done, running], { status: { conditions: [{ type: "Ready", status: "True" }] } }),
    ["1/2", "Running", "0"],
  ],
  [
    "terminating",
    podWith([running, running], { metadata: { deletionTimestamp: "2026-01-01T01:00:00Z" } }),
    ["2/2", "Terminating", "0"],
  ],
  [
    "lost",
    podWith([running], {
      metadata: { deletionTimestamp: "2026-01-01T01:00:00Z" },
      status: { reason: "NodeLost" },
    }),
    ["1/2", "Unknown", "0"],
  ],
  [
    "evicted",
    podWith([], { status: { phase: "Failed", reason: "Evicted" } }),
    ["0/2", "Evicted", "0"],
  ],
  [
    "gated",
    podWith([], {
      status: {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }],
      },
    }),
    ["0/2", "SchedulingGated", "0"],
  ],
  [
    "second init container",
    podWith([], { init: [done, { state: { running: {} } }] }),
    ["0/2", "Init:1/2", "0"],
  ],
  [
    "init container waiting",
    podWith([], { init: [{ state: { waiting: { reason: "ImagePullBackOff" } } }] }),
    ["0/2", "Init:ImagePullBackOff", "0"],
  ],
  [
    "init container not begun",
    podWith([], { init: [{ state: { waiting: { reason: "PodInitializing" } } }] }),
    ["0/2", "Init:0/1", "0"],
  ],
  [
    "init container failed",
    podWith([], { init: [{ state: { terminated: { exitCode: 2 } } }] }),
    ["0/2", "Init:ExitCode:2", "0"],
  ],
  [
    "a sidecar",
    podWith([running, running], {
      spec: { initContainers: [{ name: "init-0", image: "x", restartPolicy: "Always" }] },
      init: [{ ...running, started: true }],
    }),
    ["3/3", "Running", "0"],
  ],
];

for (const [name, body, expected] of pods) {
  test(`kubectl get pods: ${name}`, () => {
    assert.deepEqual(cells(podKind, body, ["Ready", "Status", "Restarts"]), expected);
  });
}

test("kubectl get pods -o wide", () => {
  const body = podWith([], {
    spec: { nodeName: "node-1", readinessGates: [{ conditionType: "a" }, { conditionType: "b" }] },
    status: {
      podIP: "10.0.0.2",
      podIPs: [{ ip: "10.0.0.2" }],
      conditions: [{ type: "a", status: "True" }],
    },
  });
  const names = ["Age", "IP", "Node", "Nominated Node", "Readiness Gates"];
  assert.deepEqual(cells(podKind, body, names), ["60m", "10.0.0.2", "node-1", "<none>", "1/2"]);
  assert.deepEqual(cells(podKind, { spec: { containers } }, names), [
    "60m",
    "<none>",
    "<none>",
    "<none>",
    "<none>",
  ]);
});

const qos: readonly (readonly [string, object])[] = [
  ["BestEffort", {}],
  ["BestEffort", { limits: { "example.com/card": "1" } }],
  ["Burstable", { requests: { cpu: "1" } }],
  ["Burstable", { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } }],
  ["Burstable", { limits: { cpu: "1" } }],
  ["Guaranteed", { limits: { cpu: "1", memory: "1Gi" } }],
];

for (const [expected, resources] of qos) {
  test(`a pod with ${JSON.stringify(resources)} starts as ${expected}`, () => {
    const body = { spec: { containers: [{ name: "a", image: "x", resources }] } };
    const { object } = decodeObject(podKind, body);
    assert.deepEqual(podKind.initialStatus?.(Object(object)), {
      phase: "Pending",
      qosClass: expected,
    });
  });
}

const services: readonly (readonly [object, readonly string[]])[] = [
  [
    {
      type: "ClusterIP",
      clusterIP: "10.96.0.1",
      ports: [
        { port: 80, protocol: "TCP" },
        { port: 53, protocol: "UDP" },
      ],
    },
    ["ClusterIP", "10.96.0.1", "<none>", "80/TCP,53/UDP", "<none>"],
  ],
  [
    {
      type: "NodePort",
      clusterIP: "10.96.0.1",
      selector: { b: "2", a: "1" },
      ports: [{ port: 80, nodePort: 30_080, protocol: "TCP" }],
    },
    ["NodePort", "10.96.0.1", "<none>", "80:30080/TCP", "a=1,b=2"],
  ],
  [
    { type: "LoadBalancer", ports: [{ port: 80 }] },
    ["LoadBalancer", "<none>", "<pending>", "80/TCP", "<none>"],
  ],
  [
    { type: "ExternalName", externalName: "db.example.com" },
    ["ExternalName", "<none>", "db.example.com", "<none>", "<none>"],
  ],
  [
    { clusterIP: "None", externalIPs: ["192.0.2.1"], ports: [{ port: 80 }] },
    ["", "None", "192.0.2.1", "80/TCP", "<none>"],
  ],
];

for (const [spec, expected] of services) {
  test(`kubectl get services: ${JSON.stringify(spec)}`, () => {
    const names = ["Type", "Cluster-IP", "External-IP", "Port(s)", "Selector"];
    assert.deepEqual(cells(serviceKind, { spec }, names), expected);
  });
}

test("kubectl get nodes", () => {
  const body = {
    metadata: {
      labels: { "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/edge": "" },
    },
    spec: { unschedulable: true },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      addresses: [{ type: "InternalIP", address: "192.0.2.7" }],
    },
  };
  const names = ["Status", "Roles", "Internal-IP", "External-IP", "OS-Image"];
  assert.deepEqual(cells(nodeKind, body, names), [
    "Ready,SchedulingDisabled",
    "edge,worker",
    "192.0.2.7",
    "<none>",
    "<unknown>",
  ]);
  assert.deepEqual(cells(nodeKind, {}, names), [
    "Unknown",
    "<none>",
    "<none>",
    "<none>",
    "<unknown>",
  ]);
  const broken = { status: { conditions: [{ type: "Ready", status: "Unknown" }] } };
  assert.deepEqual(cells(nodeKind, broken, ["Status"]), ["NotReady"]);
});

test("kubectl get deployments, networkpolicies, endpointslices, events and endpoints", () => {
  const template = { spec: { containers } };
  const deployment = {
    spec: { replicas: 3, selector: { matchLabels: { app: "web" } }, template },
    status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
  };
  assert.deepEqual(
    cells(deploymentKind, deployment, [
      "Ready",
      "Up-to-date",
      "Available",
      "Containers",
      "Images",
      "Selector",
    ]),
    ["2/3", "3", "1", "web,log", "x,x", "app=web"],
  );
  const policy = {
    spec: {
      podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["b", "a"] }] },
    },
  };
  assert.deepEqual(cells(networkPolicyKind, policy, ["Pod-Selector"]), ["app in (a,b)"]);
  const slice = {
    addressType: "IPv4",
    endpoints: ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map((address) => ({
      addresses: [address],
    })),
    ports: [{ name: "web", port: 80 }, { name: "any" }, {}],
  };
  assert.deepEqual(cells(endpointSliceKind, slice, ["AddressType", "Ports", "Endpoints"]), [
    "IPv4",
    "80,any,*",
    "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...",
  ]);
  const event = {
    type: "Warning",
    reason: "Failed",
    message: "it failed\n",
    lastTimestamp: "2026-01-01T00:58:00Z",
    source: { component: "lab", host: "node-1" },
    involvedObject: { kind: "Pod", name: "web" },
  };
  assert.deepEqual(
    cells(eventKind, event, [
      "Last Seen",
      "Type",
      "Reason",
      "Object",
      "Message",
      "Source",
      "Count",
      "First Seen",
    ]),
    ["2m", "Warning", "Failed", "pod/web", "it failed", "lab, node-1", 1, "<unknown>"],
  );
  const endpoint = {
    spec: {
      domain: "d",
      network: "n",
      addresses: [],
      mac: "0a:00:00:00:00:01",
      attachment: { kind: "Pod", name: "web" },
    },
  };
  assert.deepEqual(cells(endpointKind, endpoint, ["Addresses", "Node", "Status", "Attachment"]), [
    "<none>",
    "<none>",
    "<unknown>",
    "pod/web",
  ]);
});
