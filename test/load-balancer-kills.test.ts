// Services of type LoadBalancer come, go and change at random while the controllers die at their writes: before one is stored, after it,
// or so that it is stored long after its writer's death. At every step no two Services show an address that they do not share; in the
// end every Service that can have an address has one, and every address that is given out is shown.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "../src/apimachinery/errors.ts";
import type { Fate } from "./address-rig.ts";
import { until } from "./address-rig.ts";
import { LoadBalancerRig } from "./load-balancer-rig.ts";

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

/** What a user does may come to nothing: the object is there already, or gone. */
async function attempt(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
  }
}

const sharingKey = "isobar.io/sharing-key";

async function churn(rig: LoadBalancerRig, random: () => number, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    const key = `shop/s${Math.floor(random() * 10)}`;
    const chance = random();
    if (chance < 0.45) {
      const isSharing = random() < 0.3;
      const isAsking = random() < 0.2;
      const port = isSharing ? 80 + Math.floor(random() * 3) : 80;
      await attempt(
        rig.service(key, {
          annotations: {
            ...(isSharing && { [sharingKey]: "k" }),
            ...(isAsking && {
              "isobar.io/load-balancer-addresses": `192.0.2.${Math.floor(random() * 8)}`,
            }),
          },
          spec: { ports: [{ port }] },
        }),
      );
    } else if (chance < 0.75) {
      await attempt(rig.deleteService(key));
    } else if (chance < 0.85) {
      await attempt(rig.changeService(key, { spec: { type: "ClusterIP" } }));
    } else if (chance < 0.95) {
      await attempt(rig.changeService(key, { spec: { type: "LoadBalancer" } }));
    } else {
      await rig.changePool("edge", {
        addresses: [random() < 0.5 ? "192.0.2.0/29" : "192.0.2.4/30"],
      });
    }
    if (random() < 0.4) await sleep(random() * 30);
  }
}

/** Nothing leaks, nothing is shown that is not given, and nobody waits without need. */
async function assertConverges(rig: LoadBalancerRig): Promise<void> {
  const wrong = async (): Promise<string[]> => {
    const given = await rig.given();
    const free = 8 - given.length;
    const found: string[] = [];
    for (const [key, service] of rig.services) {
      const shown = rig.shown(key);
      if (service.spec?.type !== "LoadBalancer") {
        if (shown.length > 0) found.push(`${key} shows ${shown.join()}`);
        continue;
      }
      const asks = service.metadata.annotations?.["isobar.io/load-balancer-addresses"];
      if (shown.length === 0 && asks === undefined && free > 0) found.push(`${key} has none`);
      for (const address of shown) {
        const holders = given.find(({ spec }) => spec.address === address)?.spec.holders ?? [];
        const isHeld = holders.some(({ uid }) => uid === service.metadata.uid);
        if (!isHeld) found.push(`${key} shows ${address} and does not hold it`);
      }
    }
    for (const { spec } of given) {
      for (const { namespace, name, uid } of spec.holders) {
        const key = `${namespace}/${name}`;
        const isShown = rig.shown(key).includes(spec.address);
        const isOwn = rig.services.get(key)?.metadata.uid === uid;
        if (!isShown || !isOwn) found.push(`${spec.address} leaks to ${key}`);
      }
    }
    return found;
  };
  let last: string[] = [];
  await until("agreement", async () => (last = await wrong()).length === 0, 30_000).catch(
    (error: unknown) => {
      throw new Error(last.join("\n"), { cause: error });
    },
  );
}

describe("load balancers' addresses while controllers die", () => {
  for (const controllers of [1, 2]) {
    test(`${controllers} at once`, async (context) => {
      const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
      context.diagnostic(`SEED=${seed}`);
      const random = makeRandom(seed);
      let isKilling = true;
      const fateOf = (): Fate => {
        if (!isKilling || random() > 0.08) return "works";
        return (["before", "after", "late"] as const)[Math.floor(random() * 3)] ?? "before";
      };
      await using rig = await LoadBalancerRig.start({ fateOf, delayMs: () => random() * 5 });
      await rig.pool("edge", { addresses: ["192.0.2.0/29"] });
      for (let more = 1; more < controllers; more++) rig.rig.startController();
      await churn(rig, random, 150);
      isKilling = false;
      await rig.changePool("edge", { addresses: ["192.0.2.0/29"] });
      await sleep(200);
      await assertConverges(rig);
      assert.deepEqual([...rig.violations, ...rig.rig.violations], [], `SEED=${seed}`);
      assert.ok(rig.rig.deaths > 0, "no controller died");
      context.diagnostic(`${rig.rig.deaths} deaths`);
    });
  }
});
