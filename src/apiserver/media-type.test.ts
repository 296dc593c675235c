import assert from "node:assert/strict";
import { test } from "node:test";
import { negotiateShape } from "./media-type.ts";

const cases: readonly [
  accept: string | undefined,
  as: string | undefined,
  version?: string,
  encoding?: string,
][] = [
  [undefined, "object"],
  ["", "object"],
  ["*/*", "object"],
  ["application/*", "object"],
  ["application/json, */*", "object"],
  ["APPLICATION/JSON", "object"],
  ["application/yaml", "object", "v1", "yaml"],
  ["application/vnd.kubernetes.protobuf,application/json", "object"],
  ["application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "table"],
  ["application/json; as=Table; v=v1beta1; g=meta.k8s.io", "table", "v1beta1"],
  ["application/json;as=Table;v=v2;g=meta.k8s.io,application/json", "object"],
  ["application/json;as=Table;v=v2;g=meta.k8s.io", undefined],
  ["application/json;as=Table;v=v1;g=other.io", undefined],
  ["application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "metadata"],
  ["application/json;as=__proto__;v=v1;g=meta.k8s.io", undefined],
  ["text/html", undefined],
];

for (const [accept, as, version = "v1", encoding = "json"] of cases) {
  test(`Accept: ${accept} gives ${as ?? "nothing"}`, () => {
    const shape = negotiateShape(accept);
    assert.deepEqual(shape, as === undefined ? undefined : { as, version, encoding });
  });
}
