import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeProtobufObject } from "./protobuf-object.ts";
import { ProtobufError, ProtobufWriter } from "./protobuf.ts";

/** As a client writes it: magic, type and bytes. */
function envelope(
  apiVersion: string,
  kind: string,
  write: (writer: ProtobufWriter) => void,
): Buffer {
  const writer = new ProtobufWriter();
  writer.message(1, (meta) => {
    meta.text(1, apiVersion);
    meta.text(2, kind);
  });
  writer.message(2, write);
  writer.text(3, "");
  writer.text(4, "");
  return Buffer.concat([Buffer.from("k8s\0", "latin1"), writer.encode()]);
}

const service = envelope("v1", "Service", (writer) => {
  writer.message(1, (meta) => {
    meta.text(1, "web");
    meta.text(2, "");
    meta.integer(7, 0);
    meta.message(8, () => {});
    for (const [key, value] of [
      ["app", "web"],
      ["tier", ""],
    ] as const) {
      meta.message(11, (entry) => {
        entry.text(1, key);
        entry.text(2, value);
      });
    }
  });
  writer.message(2, (spec) => {
    for (const [number, name] of [
      [80, "http"],
      [443, ""],
    ] as const) {
      spec.message(1, (port) => {
        port.text(1, name);
        port.text(2, "TCP");
        port.integer(3, number);
        port.message(4, (target) => {
          target.integer(1, name === "" ? 0 : 1);
          target.integer(2, number);
          target.text(3, name);
        });
        port.integer(5, 0);
      });
    }
  });
});

test("an object reads as the JSON that the same client would have written", () => {
  assert.deepEqual(decodeProtobufObject(service), {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", labels: { app: "web", tier: "" } },
    spec: {
      ports: [
        { name: "http", protocol: "TCP", port: 80, targetPort: "http" },
        { protocol: "TCP", port: 443, targetPort: 443 },
      ],
    },
  });
});

test("a pointer to zero is kept, a plain zero is not; times and quantities are text", () => {
  const deployment = envelope("apps/v1", "Deployment", (writer) => {
    writer.message(1, (meta) => meta.message(8, (time) => time.integer(1, 1_700_000_000)));
    writer.message(2, (spec) => {
      spec.integer(1, 0);
      spec.integer(5, 0);
      spec.message(3, (template) =>
        template.message(2, (pod) =>
          pod.message(2, (container) =>
            container.message(8, (resources) =>
              resources.message(1, (entry) => {
                entry.text(1, "cpu");
                entry.message(2, (quantity) => quantity.text(1, "100m"));
              }),
            ),
          ),
        ),
      );
    });
  });
  assert.deepEqual(decodeProtobufObject(deployment), {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { creationTimestamp: "2023-11-14T22:13:20Z" },
    spec: {
      replicas: 0,
      template: { spec: { containers: [{ resources: { limits: { cpu: "100m" } } }] } },
    },
  });
});

test("what is not known is refused and never dropped", () => {
  const field = envelope("v1", "ConfigMap", (writer) => writer.text(99, "x"));
  assert.throws(() => decodeProtobufObject(field), /field 99 of core.v1.ConfigMap is not known/);
  const kind = envelope("example.com/v1", "Thing", () => {});
  assert.throws(() => decodeProtobufObject(kind), /Thing is not read as protobuf/);
  assert.throws(() => decodeProtobufObject(Buffer.from("{}")), ProtobufError);
});

/** Fails with what is neither an object nor a ProtobufError. */
function tryDecode(bytes: Buffer): void {
  try {
    decodeProtobufObject(bytes);
  } catch (error) {
    assert.ok(error instanceof ProtobufError, String(error));
  }
}

test("cut off or spoiled anywhere, it gives an object or a ProtobufError", () => {
  for (let length = 0; length < service.length; length++) tryDecode(service.subarray(0, length));
  fc.assert(
    fc.property(fc.nat({ max: service.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
      const spoiled = Buffer.from(service);
      spoiled[at] = byte;
      tryDecode(spoiled);
    }),
    { numRuns: 2000 },
  );
});
