import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { digestOf, hashOf } from "./digest.ts";
import type { GroupResource } from "./resources.ts";

const group: GroupResource = {
  kind: "group",
  id: "shop app=web",
  identities: ["default shop app=web"],
  networks: [{ cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] }],
};

test("a digest does not depend on the order of properties", () => {
  const { kind, id, identities, networks } = group;
  const turned = networks.map(({ cidr, except }) => ({ except, cidr }));
  assert.equal(digestOf({ networks: turned, identities, id, kind }), digestOf(group));
});

test("a digest depends on every value, also deep inside", () => {
  const others: readonly GroupResource[] = [
    { ...group, id: "shop app=web2" },
    { ...group, identities: [] },
    { ...group, networks: [{ cidr: "10.0.0.0/9", except: ["10.1.0.0/16"] }] },
    { ...group, networks: [{ cidr: "10.0.0.0/8", except: [] }] },
  ];
  for (const other of others) assert.notEqual(digestOf(other), digestOf(group));
});

test("a hash has 16 hexadecimal digits, and near texts have far hashes", () => {
  const differing = (a: string, b: string) => {
    const bits = BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
    return bits.toString(2).replaceAll("0", "").length;
  };
  fc.assert(
    fc.property(fc.string(), fc.string({ minLength: 1, maxLength: 1 }), (text, more) => {
      const hash = hashOf(text);
      assert.match(hash, /^[0-9a-f]{16}$/);
      assert.ok(differing(hash, hashOf(text + more)) >= 8);
    }),
  );
});

test("no two of 200,000 like texts have one hash", () => {
  const hashes = new Set<string>();
  for (let index = 0; index < 200_000; index++) hashes.add(hashOf(`{"id":"default/web-${index}"}`));
  assert.equal(hashes.size, 200_000);
});
