import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { translateCluster } from "../src/kubernetes/cluster.ts";
import { evaluate } from "../src/policy/evaluate.ts";
import { PolicyModel } from "../src/policy/policy-model.ts";
import { scenarioArbitrary } from "./arbitrary/cluster.ts";
import { formatPacket, somePackets } from "./arbitrary/packets.ts";
import { Oracle } from "./policy-oracle.ts";

describe("translation and evaluator", () => {
  test("agree with a naive reading of the API on random clusters, policies and packets", () => {
    const seeds = fc.integer({ min: 1, max: 1_000_000 });
    fc.assert(
      fc.property(scenarioArbitrary(), seeds, (objects, seed) => {
        const model = new PolicyModel(translateCluster(objects));
        const oracle = new Oracle(objects);
        for (const packet of somePackets(objects, { count: 400, seed })) {
          const { verdict, egress, ingress } = evaluate(model, packet);
          assert.equal(
            verdict,
            oracle.allows(packet) ? "allow" : "deny",
            [
              formatPacket(packet),
              ...[
                egress,
                ingress,
                ...objects.filter(({ kind }) => kind.endsWith("NetworkPolicy")),
              ].map((each) => JSON.stringify(each)),
            ].join("\n"),
          );
        }
      }),
      { numRuns: Number(process.env["ISOBAR_TEST_RUNS"] ?? 200) },
    );
  });
});
