// Makes src/apiserver/protobuf-fields.json from Kubernetes' Go types: for each message that a client may send, the JSON name
// and the type of each protobuf field. Run as `node tools/make-protobuf-fields.ts API APIMACHINERY`, the directories being
// those of the Go modules k8s.io/api and k8s.io/apimachinery.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const packages: readonly [name: string, module: "api" | "apimachinery", path: string][] = [
  ["meta.v1", "apimachinery", "pkg/apis/meta/v1"],
  ["core.v1", "api", "core/v1"],
  ["apps.v1", "api", "apps/v1"],
  ["authentication.v1", "api", "authentication/v1"],
  ["authorization.v1", "api", "authorization/v1"],
  ["autoscaling.v1", "api", "autoscaling/v1"],
  ["coordination.v1", "api", "coordination/v1"],
  ["discovery.v1", "api", "discovery/v1"],
  ["events.v1", "api", "events/v1"],
  ["networking.v1", "api", "networking/v1"],
];

/** Messages that stand for themselves, by apiVersion and kind. */
const roots: Readonly<Record<string, string>> = {
  "v1/Binding": "core.v1.Binding",
  "v1/ConfigMap": "core.v1.ConfigMap",
  "v1/DeleteOptions": "meta.v1.DeleteOptions",
  "v1/Event": "core.v1.Event",
  "v1/Namespace": "core.v1.Namespace",
  "v1/Node": "core.v1.Node",
  "v1/Pod": "core.v1.Pod",
  "v1/Secret": "core.v1.Secret",
  "v1/Service": "core.v1.Service",
  "v1/ServiceAccount": "core.v1.ServiceAccount",
  "apps/v1/Deployment": "apps.v1.Deployment",
  "authentication.k8s.io/v1/SelfSubjectReview": "authentication.v1.SelfSubjectReview",
  "authorization.k8s.io/v1/SelfSubjectAccessReview": "authorization.v1.SelfSubjectAccessReview",
  "authorization.k8s.io/v1/SelfSubjectRulesReview": "authorization.v1.SelfSubjectRulesReview",
  "autoscaling/v1/Scale": "autoscaling.v1.Scale",
  "coordination.k8s.io/v1/Lease": "coordination.v1.Lease",
  "discovery.k8s.io/v1/EndpointSlice": "discovery.v1.EndpointSlice",
  "events.k8s.io/v1/Event": "events.v1.Event",
  "networking.k8s.io/v1/NetworkPolicy": "networking.v1.NetworkPolicy",
};

/** Go types that are written in JSON in a way of their own. */
const special: Readonly<Record<string, string>> = {
  string: "string",
  bool: "boolean",
  int: "integer",
  int32: "integer",
  int64: "integer",
  float64: "double",
  "[]byte": "bytes",
  "meta.v1.Time": "time",
  "meta.v1.MicroTime": "microTime",
  "meta.v1.Duration": "duration",
  "meta.v1.FieldsV1": "fields",
  "resource.Quantity": "quantity",
  "intstr.IntOrString": "intOrString",
  "types.UID": "string",
  "types.NodeName": "string",
};

interface GoField {
  readonly number: number;
  /** Empty when the message's fields appear in the message around it. */
  readonly json: string;
  readonly type: string;
  /** Zero is left out of JSON. */
  readonly omitsZero: boolean;
}

const structs = new Map<string, GoField[]>();
const aliases = new Map<string, string>();

/** Writes a Go type with the packages' names: `*v1.Pod` becomes `*core.v1.Pod`. */
function qualify(type: string, home: string, imports: ReadonlyMap<string, string>): string {
  return type.replace(
    /([a-z]\w*\.)?([A-Za-z]\w*)(?![\w.])/g,
    (whole, prefix: string | undefined, name: string) => {
      if (prefix !== undefined)
        return `${imports.get(prefix.slice(0, -1)) ?? prefix.slice(0, -1)}.${name}`;
      return /^[A-Z]/.test(name) ? `${home}.${name}` : whole;
    },
  );
}

function readImports(source: string): Map<string, string> {
  const imports = new Map<string, string>();
  for (const [, alias, path = ""] of source.matchAll(
    /^\s*(?:import )?(\w+)? ?"(k8s\.io\/[^"]+)"$/gm,
  )) {
    const known = packages.find(([, module, dir]) => path === `k8s.io/${module}/${dir}`);
    const last = path.split("/").at(-1) ?? "";
    imports.set(alias ?? last, known?.[0] ?? last);
  }
  return imports;
}

function readFields(body: string, home: string, imports: ReadonlyMap<string, string>): GoField[] {
  const line = /^\t(?:(\w+)\s+)?(\S+)\s+`json:"([^"]*)"[^`]*protobuf:"(\w+),(\d+),([^"]*)"/gm;
  return [...body.matchAll(line)].map(([, , type = "", json = "", , number]) => {
    const [name = "", ...flags] = json.split(",");
    return {
      number: Number(number),
      json: name,
      type: qualify(type, home, imports),
      omitsZero: flags.includes("omitempty"),
    };
  });
}

function readPackage(name: string, directory: string): void {
  for (const file of readdirSync(directory)) {
    if (!file.endsWith(".go") || file.endsWith("_test.go") || file.includes("generated")) continue;
    const source = readFileSync(join(directory, file), "utf8");
    const imports = readImports(source);
    for (const [, type, body = ""] of source.matchAll(/^type (\w+) struct \{\n([^]*?)^\}/gm)) {
      structs.set(`${name}.${type}`, readFields(body, name, imports));
    }
    for (const [, type, target = ""] of source.matchAll(/^(?:type |\t)(\w+) ([\w.[\]*]+)$/gm)) {
      if (!structs.has(`${name}.${type}`))
        aliases.set(`${name}.${type}`, qualify(target, name, imports));
    }
  }
}

/** The type as the table has it: `list T`, `map T`, a special name or a message's; a pointer is `optional T`. */
function describe(type: string, reached: Set<string>): string {
  const known = special[type];
  if (known !== undefined) return known;
  if (type.startsWith("*")) return `optional ${describe(type.slice(1), reached)}`;
  if (type.startsWith("[]")) return `list ${describe(type.slice(2), reached)}`;
  const map = /^map\[[^\]]+\](.*)$/.exec(type);
  if (map !== null) return `map ${describe(map[1] ?? "", reached)}`;
  if (structs.has(type)) {
    reached.add(type);
    return type;
  }
  const alias = aliases.get(type);
  if (alias === undefined) throw new Error(`unknown type ${type}`);
  return describe(alias, reached);
}

const [api, apimachinery] = process.argv.slice(2);
if (api === undefined || apimachinery === undefined) {
  throw new Error("expected the directories of k8s.io/api and k8s.io/apimachinery");
}
for (const [name, module, path] of packages) {
  readPackage(name, join(module === "api" ? api : apimachinery, path));
}
const reached = new Set(Object.values(roots));
const messages: Record<string, Record<string, readonly string[]>> = {};
// A set is iterated over what is added meanwhile.
for (const name of reached) {
  const fields = structs.get(name);
  if (fields === undefined) throw new Error(`unknown message ${name}`);
  messages[name] = Object.fromEntries(
    fields.map(({ number, json, type, omitsZero }) => [
      number,
      [json, describe(type, reached), ...(omitsZero ? ["omitsZero"] : [])],
    ]),
  );
}
const lines = Object.entries(messages)
  .toSorted(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, fields]) => `    ${JSON.stringify(name)}: ${JSON.stringify(fields)}`);
const path = new URL("../src/apiserver/protobuf-fields.json", import.meta.url);
writeFileSync(
  path,
  `{\n  "roots": ${JSON.stringify(roots, undefined, 2).replaceAll("\n", "\n  ")},\n  "messages": {\n${lines.join(",\n")}\n  }\n}\n`,
);
