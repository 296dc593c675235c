import assert from "node:assert/strict";
import { test } from "node:test";
import type { PostureResource } from "../southbound/resources.ts";
import { EndpointFeature } from "./endpoint-feature.ts";
import { Facts } from "./fact.ts";

/** A feature with 100 endpoints of one identity on this node, and the units that it marks. */
function feature() {
  const facts = new Facts();
  const endpoints = new EndpointFeature("node-1", facts);
  const marked = new Set<string>();
  for (let n = 0; n < 100; n++) {
    const id = `shop/pod-${n}`;
    const after = {
      kind: "endpoint",
      id,
      domain: "default",
      node: "node-1",
      addresses: [`10.0.0.${n}`],
      mac: "0a:00:00:00:00:01",
      identity: "web",
    } as const;
    facts.set("endpoint", id, after);
    endpoints.on.endpoint?.({ id, before: undefined, after }, () => undefined);
  }
  const changePosture = (before?: PostureResource, after?: PostureResource): number => {
    marked.clear();
    endpoints.on.posture?.({ id: "web", before, after }, (unit) => marked.add(unit));
    return marked.size;
  };
  return { changePosture };
}

const one: PostureResource = { kind: "posture", id: "web", ingress: ["a"], egress: [] };
const two: PostureResource = { ...one, ingress: ["a", "b"] };

test("a policy more or less renders none of its subjects' ports again", () => {
  const { changePosture } = feature();
  assert.equal(changePosture(one, two), 0);
  assert.equal(changePosture(two, one), 0);
});

test("the ports of an identity open and close as its posture comes and goes", () => {
  const { changePosture } = feature();
  assert.equal(changePosture(undefined, one), 100);
  assert.equal(changePosture(one), 100);
});
