import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parsePrefix, prefixContains } from "../net/address.ts";
import { AddressSpace } from "./address-space.ts";

const dual = { pools: ["10.0.0.0/16", "fd00::/48"], networkLength: { 4: 24, 6: 64 } } as const;

/** Stores what is proposed, as the controller does, and gives the endpoint its addresses. */
function allocate(
  space: AddressSpace,
  domain: string,
  zone: string,
  endpoint: string,
): readonly string[] {
  for (;;) {
    const proposal = space.propose(domain, zone);
    if (proposal.kind === "refused") throw new Error(proposal.reason);
    if (proposal.kind === "network") {
      space.setNetwork(`${domain} ${proposal.cidrs.join()}`, {
        domain,
        zone,
        cidrs: proposal.cidrs,
      });
      continue;
    }
    const { network, addresses } = proposal;
    space.setEndpoint(endpoint, { network, addresses });
    return proposal.addresses;
  }
}

describe("AddressSpace", () => {
  test("cuts a network for each zone and gives an address of each family", () => {
    const space = new AddressSpace();
    space.setDomain("default", dual);
    assert.deepEqual(space.propose("default", "shop"), {
      kind: "network",
      cidrs: ["10.0.0.0/24", "fd00::/64"],
    });
    assert.deepEqual(allocate(space, "default", "shop", "shop/a"), ["10.0.0.1", "fd00::1"]);
    assert.deepEqual(allocate(space, "default", "shop", "shop/b"), ["10.0.0.2", "fd00::2"]);
    assert.deepEqual(allocate(space, "default", "pay", "pay/a"), ["10.0.1.1", "fd00:0:0:1::1"]);
  });

  test("gives no address twice, whatever comes and goes, and each lies in its zone's network", () => {
    const step = fc.record({
      endpoint: fc.integer({ min: 0, max: 40 }),
      zone: fc.constantFrom("a", "b"),
      gone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const space = new AddressSpace();
        space.setDomain("d", { pools: ["10.0.0.0/25"], networkLength: { 4: 28, 6: 64 } });
        const held = new Map<string, string>();
        for (const { endpoint, zone, gone } of steps) {
          const id = `${zone}/${endpoint}`;
          if (gone) {
            space.setEndpoint(id, undefined);
            held.delete(id);
          } else if (!held.has(id) && held.size < 20) {
            const [address] = allocate(space, "d", zone, id);
            assert.ok(address);
            assert.ok(![...held.values()].includes(address), `${address} is held already`);
            held.set(id, address);
          }
        }
      }),
    );
  });

  test("a full network leads to another one, and full pools to a refusal", () => {
    const space = new AddressSpace();
    space.setDomain("d", { pools: ["10.0.0.0/29"], networkLength: { 4: 30, 6: 64 } });
    const addresses = [1, 2, 3, 4].map((i) => allocate(space, "d", "z", `z/${i}`)[0]);
    assert.deepEqual(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.5", "10.0.0.6"]);
    assert.deepEqual(space.propose("d", "z"), {
      kind: "refused",
      reason: 'the IPv4 pools of domain "d" (10.0.0.0/29) are exhausted',
    });
    space.setEndpoint("z/2", undefined);
    assert.deepEqual(allocate(space, "d", "z", "z/5"), ["10.0.0.2"]);
  });

  test("a freed address rests until the others have been used", () => {
    const space = new AddressSpace();
    space.setDomain("d", { pools: ["10.0.0.0/28"], networkLength: { 4: 28, 6: 64 } });
    allocate(space, "d", "z", "z/1");
    space.setEndpoint("z/1", undefined);
    assert.deepEqual(allocate(space, "d", "z", "z/1"), ["10.0.0.2"]);
  });

  test("networks that were cut by hand are worked round", () => {
    const space = new AddressSpace();
    space.setDomain("d", { pools: ["10.0.0.0/22"], networkLength: { 4: 24, 6: 64 } });
    space.setNetwork("odd", { domain: "d", zone: "z", cidrs: ["10.0.0.128/25"] });
    space.setNetwork("big", { domain: "d", zone: "z", cidrs: ["10.0.2.0/23"] });
    const proposal = space.propose("d", "other");
    assert.deepEqual(proposal, { kind: "network", cidrs: ["10.0.1.0/24"] });
    assert.ok(prefixContains(parsePrefix("10.0.0.0/22"), parsePrefix("10.0.1.0/24")));
  });

  test("a network that goes before its endpoints is cut anew only after the last of them", () => {
    const space = new AddressSpace();
    space.setDomain("d", { pools: ["10.0.0.0/23"], networkLength: { 4: 24, 6: 64 } });
    const held = { network: "old", addresses: ["10.0.0.1"] };
    space.setNetwork("old", { domain: "d", zone: "old", cidrs: ["10.0.0.0/24"] });
    space.setEndpoint("old/1", held);
    space.setEndpoint("old/2", { network: "old", addresses: ["10.0.0.2"] });
    space.setNetwork("old", undefined);
    const proposed = (): unknown => space.propose("d", "new");
    assert.deepEqual(proposed(), { kind: "network", cidrs: ["10.0.1.0/24"] });
    space.setEndpoint("old/2", undefined);
    space.setEndpoint("old/1", held);
    assert.deepEqual(proposed(), { kind: "network", cidrs: ["10.0.1.0/24"] });
    space.setEndpoint("old/1", undefined);
    assert.deepEqual(proposed(), { kind: "network", cidrs: ["10.0.0.0/24"] });
  });

  test("two domains may hand out the same address", () => {
    const space = new AddressSpace();
    space.setDomain("red", dual);
    space.setDomain("blue", dual);
    assert.deepEqual(allocate(space, "red", "z", "z/1"), allocate(space, "blue", "z", "z/2"));
  });

  test("an unknown domain is refused by name", () => {
    assert.deepEqual(new AddressSpace().propose("nowhere", "z"), {
      kind: "refused",
      reason: 'domain "nowhere" does not exist',
    });
  });
});
