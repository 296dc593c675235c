// What is measured in cold-start.bench.ts: the graph, and the least that any program would have to do for the same workload.
import { Compute } from "../src/compute/graph.ts";
import { encodeDeltaMessage } from "../src/southbound/encoded.ts";
import { type Workload, nodeCount } from "./antrea-workloads.ts";

export interface Result {
  /** Characters of all messages to all nodes together. */
  readonly characters: number;
  readonly messages: number;
}

function measureMessages(messages: Iterable<readonly string[]>): Result {
  let characters = 0;
  let count = 0;
  for (const message of messages) {
    count++;
    for (const chunk of message) characters += chunk.length;
  }
  return { characters, messages: count };
}

export function load(compute: Compute, workload: Workload): void {
  compute.setDomain("default", { name: "default", vni: 1, pools: ["10.0.0.0/8"] });
  for (let index = 0; index < nodeCount; index++) {
    const name = `node-${index}`;
    const addresses = [`172.16.${index >> 8}.${index & 255}`];
    compute.setNode(name, { name, labels: {}, addresses, knownAddresses: addresses });
  }
  for (const zone of workload.zones) compute.setZone(zone.name, zone);
  for (const endpoint of workload.endpoints) compute.setEndpoint(endpoint.id, endpoint);
  for (const policy of workload.policies) compute.setPolicy(policy.id, policy);
}

/** Inputs → groups → spans → one message for each node, as text. */
export function runIsobar(workload: Workload): Result {
  const compute = new Compute();
  load(compute, workload);
  const delta = compute.flush();
  const messages = Array.from({ length: nodeCount }, (_, index) =>
    encodeDeltaMessage({ sequence: 1, revision: 1 }, delta.of(`node-${index}`)),
  );
  return measureMessages(messages);
}

interface Same {
  readonly id: string;
  readonly nodes: Set<string>;
  readonly policies: string[];
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** The label of an object that has at most one. */
function onlyLabel(labels: Readonly<Record<string, string>>): string {
  for (const key in labels) return `${key}=${labels[key]}`;
  return "";
}

/**
 * The same joins over plain maps, once, for these workloads only: it knows that a selector is one label at most, keeps
 * nothing for later changes and checks nothing. Nodes share the text of what they have in common here as well.
 */
export function runProbe(workload: Workload): Result {
  const identities = new Map<string, Same>();
  const byLabel = new Map<string, Same[]>();
  const endpoints: string[] = [];
  for (const { id, zone, labels, addresses, mac, node = "" } of workload.endpoints) {
    const label = onlyLabel(labels);
    const key = `${zone} ${label}`;
    let identity = identities.get(key);
    if (identity === undefined) {
      identity = { id: `default ${key}`, nodes: new Set(), policies: [] };
      identities.set(key, identity);
      append(byLabel, key, identity);
      append(byLabel, `${zone} `, identity);
    }
    identity.nodes.add(node);
    endpoints.push(
      JSON.stringify({
        kind: "endpoint",
        id,
        domain: "default",
        node,
        addresses,
        mac,
        identity: identity.id,
      }),
    );
  }
  const zonesByLabel = new Map<string, string[]>();
  for (const { name, labels } of workload.zones) {
    for (const key in labels) append(zonesByLabel, `${key}=${labels[key]}`, name);
  }
  const rulesBySubject = new Map<string, string[]>();
  const groupsBySubject = new Map<string, Set<string>>();
  const groups = new Map<string, string>();
  for (const { id, subject, ingress } of workload.policies) {
    const zone = subject.zones.kind === "name" ? subject.zones.name : "";
    const key = `${zone} ${onlyLabel(subject.endpoints.matchLabels)}`;
    for (const identity of byLabel.get(key) ?? []) identity.policies.push(id);
    for (const { peers } of ingress) {
      const [peer] = peers === "any" ? [] : peers;
      if (peer?.kind !== "endpoints") continue;
      const label = onlyLabel(peer.endpoints.matchLabels);
      const from =
        peer.zones.kind === "name" ? peer.zones.name : onlyLabel(peer.zones.selector.matchLabels);
      const group = `${from} ${label}`;
      for (const name of [key, group]) {
        if (groups.has(name)) continue;
        const zones = zonesByLabel.get(from);
        const members =
          name === group && zones !== undefined
            ? zones.flatMap((each) => byLabel.get(`${each} ${label}`) ?? [])
            : (byLabel.get(name) ?? []);
        groups.set(
          name,
          JSON.stringify({
            kind: "group",
            id: name,
            identities: members.map((each) => each.id).toSorted(),
            networks: [],
          }),
        );
      }
      append(
        rulesBySubject,
        key,
        JSON.stringify({
          kind: "rule",
          id: `${id} ingress 0 ${key}`,
          direction: "ingress",
          tier: "networkpolicy",
          priority: 0,
          action: "allow",
          subjects: [key],
          peers: [group],
          ports: "any",
          policy: id,
          ruleIndex: 0,
        }),
      );
      const needed = groupsBySubject.get(key);
      if (needed === undefined) groupsBySubject.set(key, new Set([key, group]));
      else needed.add(group);
    }
  }
  const nodes = new Map<string, { groups: Set<string>; rules: Set<string>; texts: string[] }>();
  const nodeOf = (name: string) => {
    let node = nodes.get(name);
    if (node === undefined)
      nodes.set(name, (node = { groups: new Set(), rules: new Set(), texts: [] }));
    return node;
  };
  for (const [subject, needed] of groupsBySubject) {
    for (const identity of byLabel.get(subject) ?? []) {
      for (const name of identity.nodes) {
        const node = nodeOf(name);
        node.rules.add(subject);
        for (const group of needed) node.groups.add(group);
      }
    }
  }
  for (const identity of identities.values()) {
    const policies = identity.policies.toSorted();
    const text = JSON.stringify({
      kind: "posture",
      id: identity.id,
      ingress: policies,
      egress: policies,
    });
    for (const name of identity.nodes) nodeOf(name).texts.push(text);
  }
  const shared = endpoints.join(",");
  const ruleTexts = new Map([...rulesBySubject].map(([key, texts]) => [key, texts.join(",")]));
  const messages = Array.from(nodes.values(), (node) => {
    const rules = Array.from(node.rules, (key) => ruleTexts.get(key) ?? "");
    const groupTexts = Array.from(node.groups, (key) => groups.get(key) ?? "");
    return [groupTexts.join(","), ...rules, node.texts.join(","), shared];
  });
  return measureMessages(messages);
}
