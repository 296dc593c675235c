import assert from "node:assert/strict";
import { test } from "node:test";
import type { Backend, VirtualService } from "../model/service.ts";
import { backendsFor, type ClientPlace } from "./service-choice.ts";

function backend(address: string, node: string, changes: Partial<Backend> = {}): Backend {
  return { address, port: 80, node, ready: true, ...changes };
}

function chosen(
  backends: readonly Backend[],
  client: Partial<ClientPlace>,
  changes: Partial<VirtualService> = {},
): string[] {
  const service: VirtualService = {
    id: "shop/web TCP/80 IPv4",
    name: "shop/web",
    portName: "",
    domain: "default",
    protocol: "TCP",
    family: 4,
    frontends: [],
    internalPolicy: "Cluster",
    externalPolicy: "Cluster",
    backends,
    ...changes,
  };
  const place = { node: "n1", zone: "east", isOutside: false, ...client };
  return backendsFor(service, place).map(({ address }) => address);
}

const plain = [backend("a", "n1"), backend("b", "n2")];

test("all count, or those on the client's node where the policy is Local", () => {
  assert.deepEqual(chosen(plain, {}), ["a", "b"]);
  assert.deepEqual(chosen(plain, {}, { internalPolicy: "Local" }), ["a"]);
  assert.deepEqual(chosen(plain, { node: "n3" }, { internalPolicy: "Local" }), []);
  assert.deepEqual(chosen(plain, { isOutside: true }, { externalPolicy: "Local" }), ["a"]);
  assert.deepEqual(chosen(plain, {}, { externalPolicy: "Local" }), ["a", "b"]);
  const unknown = { isOutside: true, node: undefined };
  assert.deepEqual(chosen(plain, unknown, { externalPolicy: "Local" }), ["a", "b"]);
});

test("those that end count only where none is ready", () => {
  const ending = backend("c", "n1", { ready: false });
  assert.deepEqual(chosen([...plain, ending], {}), ["a", "b"]);
  assert.deepEqual(chosen([ending], {}), ["c"]);
  assert.deepEqual(chosen([backend("b", "n2"), ending], {}, { internalPolicy: "Local" }), ["c"]);
});

test("hints count when all have some and one is for this client, the node's before the zone's", () => {
  const zoned = [backend("a", "n1", { zones: ["east"] }), backend("b", "n2", { zones: ["west"] })];
  assert.deepEqual(chosen(zoned, {}), ["a"]);
  assert.deepEqual(chosen(zoned, { zone: "north" }), ["a", "b"]);
  assert.deepEqual(chosen([...zoned, backend("c", "n3")], {}), ["a", "b", "c"]);
  const near = [
    backend("a", "n1", { zones: ["east"], nodes: ["n1"] }),
    backend("b", "n2", { zones: ["east"], nodes: ["n2"] }),
  ];
  assert.deepEqual(chosen(near, { node: "n2" }), ["b"]);
  assert.deepEqual(chosen(near, { node: "n3" }), ["a", "b"]);
});
