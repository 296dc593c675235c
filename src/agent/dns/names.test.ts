import assert from "node:assert/strict";
import { test } from "node:test";
import type { Resource } from "../../southbound/resources.ts";
import { DnsNames } from "./names.ts";

const record = {
  kind: "record",
  id: "shop/db",
  domain: "default",
  addresses: [],
  ports: [],
} as const;

function host(hostname: string): Resource {
  const id = `shop/db 192.0.2.1 ${hostname}`;
  return { kind: "host", id, record: "shop/db", address: "192.0.2.1", hostname, ports: [] };
}

const pod = {
  kind: "endpoint",
  id: "shop/web",
  domain: "default",
  node: "n1",
  addresses: ["10.1.0.1"],
  mac: "",
  identity: "web",
} as const;

test("names follow the resources of the domain, and nothing stays of what goes", () => {
  const names = new DnsNames("default");
  for (const resource of [record, host("a"), host("b"), pod]) assert.ok(names.set(resource));
  assert.ok(names.zone.find(["a", "db", "shop", "svc"]));
  assert.ok(names.zone.find(["10-1-0-1", "shop", "pod"]));
  assert.ok(names.delete(host("a")));
  assert.equal(names.zone.find(["a", "db", "shop", "svc"]), undefined);
  assert.ok(names.zone.find(["b", "db", "shop", "svc"]));
  for (const key of [host("b"), record, pod]) names.delete(key);
  assert.equal(names.zone.size, 0);
});

test("what is of another domain, or no pod, has no name here", () => {
  const names = new DnsNames("default");
  names.set({ ...record, domain: "other", addresses: ["10.96.0.1"] });
  names.set({ ...pod, domain: "other" });
  names.set({ ...pod, id: "shop/service/dns", node: "*" });
  assert.equal(names.zone.find(["shop", "svc"]), undefined);
  assert.equal(names.zone.find(["shop", "pod"]), undefined);
  assert.equal(names.set({ kind: "node", id: "n1", addresses: [] }), false);
});
