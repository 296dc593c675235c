// Writes src/kinds/kubernetes.json: the fields of Kubernetes' built-in types. Names, types and what is required come from the
// pinned @kubernetes/client-node; how lists merge comes from the table beside, for that package does not know it.
//
//   node tools/kubernetes-types.ts            writes the file
//   node tools/kubernetes-types.ts --check    fails when the file is another
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { atomicTypes, fieldFacts, groupOf, quantityFields, rootTypes } from "./kubernetes-facts.ts";

interface Attribute {
  readonly baseName: string;
  readonly type: string;
  readonly format: string;
}

type Fields = Record<string, string>;

const modelFolder = join(
  dirname(createRequire(import.meta.url).resolve("@kubernetes/client-node")),
  "gen/models",
);

/** The generated model as text: its map of attributes and its declarations. */
function readModel(name: string): { attributes: Attribute[]; required: Set<string> } {
  const code = readFileSync(join(modelFolder, `${name}.js`), "utf8");
  const list = /attributeTypeMap = (\[[^]*?\n\]);/.exec(code)?.[1] ?? "[]";
  const attributes: Attribute[] = JSON.parse(list);
  const declarations = readFileSync(join(modelFolder, `${name}.d.ts`), "utf8");
  const required = [...declarations.matchAll(/^ {4}'([^']+)':/gm)].map((match) => match[1] ?? "");
  return { attributes, required: new Set(required) };
}

/** `V1Container` → `Container`: several groups' types share the name, and the group tells them apart. */
function shortName(model: string): string {
  return model.replace(/^(Core|Discovery|Events)?V1/, "");
}

function primitive(type: string, format: string): string | undefined {
  switch (`${type} ${format}`) {
    case "string byte":
      return "bytes";
    case "string ":
      return "string";
    case "boolean ":
      return "boolean";
    case "number int32":
      return "int32";
    case "number int64":
      return "int64";
    case "Date date-time":
      return "time";
    case "V1MicroTime date-time-micro":
      return "microtime";
    case "IntOrString int-or-string":
      return "int-or-string";
    case "any ":
      return "any";
    default:
      return undefined;
  }
}

class TypeCollector {
  readonly types = new Map<string, Fields>();

  /** The type's text: `string`, `[]Container`, `{}quantity`; types of another group with the group before. */
  #render(attribute: Attribute, group: string): string {
    const { type, format } = attribute;
    const list = /^Array<(.*)>$/.exec(type)?.[1];
    if (list !== undefined) return `[]${this.#render({ ...attribute, type: list }, group)}`;
    const entry = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
    if (entry !== undefined) return `{}${this.#render({ ...attribute, type: entry }, group)}`;
    // Items of lists come without their format.
    const known = primitive(type, format) ?? primitive(type, type === "number" ? "int32" : "");
    if (known !== undefined) return known;
    const home = groupOf(type);
    this.collect(type);
    return home === group ? shortName(type) : `${home}.${shortName(type)}`;
  }

  collect(model: string): void {
    const group = groupOf(model);
    const name = `${group}.${shortName(model)}`;
    if (this.types.has(name)) return;
    const fields: Fields = {};
    this.types.set(name, fields);
    if (atomicTypes.has(name)) fields["$"] = "atomic";
    const { attributes, required } = readModel(model);
    for (const attribute of attributes) {
      const field = `${name}.${attribute.baseName}`;
      const type = this.#render(attribute, group);
      const text = quantityFields.has(field) ? type.replace("string", "quantity") : type;
      const facts = fieldFacts[field];
      const mark = required.has(attribute.baseName) ? "!" : "";
      fields[attribute.baseName] = `${text}${mark}${facts === undefined ? "" : ` ${facts}`}`;
    }
  }
}

const collector = new TypeCollector();
for (const model of rootTypes) collector.collect(model);
const sorted = [...collector.types].toSorted(([a], [b]) => (a < b ? -1 : 1));

function isField(path: string): boolean {
  const at = path.lastIndexOf(".");
  return collector.types.get(path.slice(0, at))?.[path.slice(at + 1)] !== undefined;
}

const unknown = [
  ...[...Object.keys(fieldFacts), ...quantityFields].filter((field) => !isField(field)),
  ...[...atomicTypes].filter((type) => !collector.types.has(type)),
];
if (unknown.length > 0) throw new Error(`facts of what does not exist: ${unknown.join(", ")}`);
const output = new URL("../src/kinds/kubernetes.json", import.meta.url);
const text = `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`;
if (!process.argv.includes("--check")) writeFileSync(output, text);
else if (readFileSync(output, "utf8") !== text) {
  throw new Error("src/kinds/kubernetes.json is not what this tool writes: run it");
}
