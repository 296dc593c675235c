// Pods, namespaces and Endpoint objects come and go at random while the controller dies at its writes: before one is stored,
// after it, or so that it is stored long after its writer's death. At every step no two endpoints have an address in common
// and no two networks overlap; in the end every pod has an endpoint, and every place that is taken has one.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "../src/apimachinery/errors.ts";
import { endpointKind } from "../src/kinds/endpoint.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { podKind } from "../src/kinds/pod.ts";
import { AddressRig, type Fate, until } from "./address-rig.ts";

/** mulberry32: few lines, and the same numbers for the same seed everywhere. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Churn {
  readonly rig: AddressRig;
  readonly random: () => number;
  readonly steps: number;
}

const zones = ["a", "b", "c"];

/** What a user does may come to nothing: the object is there already, or gone, or its namespace is on its way out. */
async function attempt(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
  }
}

async function churn({ rig, random, steps }: Churn): Promise<void> {
  const oneOf = <T>(items: readonly T[]): T | undefined =>
    items[Math.floor(random() * items.length)];
  for (let step = 0; step < steps; step++) {
    const zone = oneOf(zones) ?? "a";
    const key = `${zone}/p${Math.floor(random() * 10)}`;
    const chance = random();
    const [namespace = "", name = ""] = key.split("/");
    if (chance < 0.1) {
      // Several at once: controllers that come apart want places for different pods at the same time.
      const names = Array.from({ length: 5 }, () => `${zone}/p${Math.floor(random() * 10)}`);
      await Promise.all(names.map(async (each) => await attempt(rig.pod(each))));
    } else if (chance < 0.5) {
      const keep = random() < 0.2 ? { "isobar.io/keep-addresses": "1s" } : {};
      const asks =
        random() < 0.1 ? { "isobar.io/addresses": `10.0.0.${1 + Math.floor(random() * 62)}` } : {};
      await attempt(rig.pod(key, { annotations: { ...keep, ...asks } }));
    } else if (chance < 0.9) {
      await attempt(rig.deletePod(key));
    } else if (chance < 0.96) {
      await attempt(rig.api.client.delete(endpointKind, { namespace, name }));
    } else {
      await attempt(rig.api.client.delete(namespaceKind, { name: zone }));
      await until("a namespace that is gone", async () => {
        return (await rig.api.client.find(namespaceKind, { name: zone })) === undefined;
      });
      await rig.namespace(zone);
    }
    if (random() < 0.3) await sleep(random() * 30);
  }
}

/** Every pod that asks for nothing in particular has an endpoint, no endpoint is without a pod, no place without either. */
async function assertConverges(rig: AddressRig): Promise<void> {
  const wrong = async (): Promise<string[]> => {
    const { items } = await rig.api.client.list(podKind);
    const pods = new Map(
      items.map((pod) => [`${pod.metadata.namespace}/${pod.metadata.name}`, pod]),
    );
    const without = [...pods]
      .filter(([, { metadata }]) => metadata.annotations?.["isobar.io/addresses"] === undefined)
      .filter(([key, { metadata }]) => {
        return rig.endpoints.get(key)?.spec.attachment.uid !== metadata.uid;
      });
    const surplus = [...rig.endpoints.keys()].filter((key) => !pods.has(key));
    return [
      ...without.map(([key]) => `${key} has no endpoint`),
      ...surplus.map((key) => `endpoint ${key} has no pod`),
      ...rig.disagreements(),
    ];
  };
  let last: string[] = [];
  await until(
    "an end without a leak",
    async () => {
      last = await wrong();
      return last.length === 0;
    },
    60_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last.join("; ")}`);
  });
}

describe("addresses while the controller dies", () => {
  const seed = Number(process.env["ISOBAR_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

  for (const controllers of [1, 2]) {
    test(`${controllers} at a time: never two with one address, and no leak (seed ${seed})`, async () => {
      const random = makeRandom(seed + controllers);
      const fates: readonly Fate[] = ["before", "after", "late"];
      let dying = true;
      const fateOf = (): Fate => {
        if (!dying || random() > 0.08) return "works";
        return fates[Math.floor(random() * fates.length)] ?? "before";
      };
      const delayMs = (): number => (random() < 0.5 ? 0 : random() * 20);
      const pools = ["10.0.0.0/26", "fd00::/120"];
      const lengths = { ipv4: 29, ipv6: 125 };
      await using rig = await AddressRig.start({ pools, lengths, fateOf, delayMs });
      for (const zone of zones) await rig.namespace(zone);
      if (controllers === 2) rig.startController();
      // Writes that several pods share are few: some seeds need more changes for as many deaths.
      for (let round = 0; round === 0 || (rig.deaths <= 5 && round < 10); round++) {
        await churn({ rig, random, steps: 150 });
      }
      dying = false;
      await assertConverges(rig);
      assert.equal(rig.violations.join("; "), "", `seed ${seed}: ${rig.violations.join("; ")}`);
      assert.ok(rig.deaths > 5, `only ${rig.deaths} deaths, seed ${seed}`);
    });
  }
});
