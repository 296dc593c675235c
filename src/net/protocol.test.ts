import assert from "node:assert/strict";
import { test } from "node:test";
import { isPortProtocol } from "./protocol.ts";

test("TCP, UDP and SCTP have ports, as Kubernetes spells them and no other way", () => {
  for (const text of ["TCP", "UDP", "SCTP"]) assert.ok(isPortProtocol(text));
  for (const text of ["tcp", "ICMP", "", "constructor", "toString"])
    assert.ok(!isPortProtocol(text));
});
