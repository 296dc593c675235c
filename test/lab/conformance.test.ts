// The cases of upstream's conformance tests (test/conformance) on real packets between three nodes. Of those whose
// expectations upstream computes, some connections are tried, chosen by the case alone; ./isobar test --conformance tries
// all. docs/conformance.md lists the cases.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { conformanceCluster } from "../conformance/case.ts";
import { cyclonusCases } from "../conformance/cyclonus.ts";
import { netpolCases } from "../conformance/netpol.ts";
import { profileCluster } from "../conformance/profile-parts.ts";
import { profileCases } from "../conformance/profile.ts";
import { ConformanceRun } from "./conformance-run.ts";
import { TestLab } from "./harness.ts";

const everything = process.env["ISOBAR_TEST_CONFORMANCE"] === "all";
/** Connections of a step that are tried of each verdict when not all are. */
const sampleLength = 16;

const stack = new AsyncDisposableStack();
let conformance: ConformanceRun;

before(async () => {
  const lab = stack.use(await TestLab.start());
  conformance = await ConformanceRun.open(lab, everything ? Infinity : sampleLength);
});

after(async () => await stack.disposeAsync());

describe("upstream's NetworkPolicy cases:", () => {
  before(async () => await conformance.begin(conformanceCluster()));

  describe("Kubernetes' own tests:", () => {
    for (const each of netpolCases()) {
      test(each.upstream, async (context) => {
        const [sent, mismatches] = await conformance.run([each]);
        context.diagnostic(`${sent} connections`);
        assert.deepEqual(mismatches, []);
      });
    }
  });

  describe("cyclonus' generated cases:", () => {
    for (const [group, cases] of Object.entries(cyclonusCases())) {
      test(group, async (context) => {
        const [sent, mismatches] = await conformance.run(cases);
        context.diagnostic(`${cases.length} cases, ${sent} connections`);
        assert.deepEqual(mismatches, []);
      });
    }
  });
});

describe("network-policy-api's conformance profile:", () => {
  before(async () => await conformance.begin(profileCluster()));

  for (const each of profileCases()) {
    test(each.upstream, async (context) => {
      const [sent, mismatches] = await conformance.run([each]);
      context.diagnostic(`${each.steps.length} steps, ${sent} connections`);
      assert.deepEqual(mismatches, []);
    });
  }
});
