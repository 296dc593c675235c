import { isScalar, parseDocument, visit, type YAMLMap } from "yaml";

/**
 * One document of YAML, or JSON, as a value. JSON is what kubectl sends by the name of YAML, and is read as such; the
 * parser of YAML would take a hundred times as long. @throws {Error} saying what is wrong
 */
export function parseYamlBody(text: string): unknown {
  return parseJson(text) ?? parseYaml(text);
}

function parseJson(text: string): unknown {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // YAML has braces and brackets as well.
    return undefined;
  }
}

function parseYaml(text: string): unknown {
  // The parser would compare each key with every other one.
  const document = parseDocument(text, { uniqueKeys: false });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  visit(document, { Map: (_, map) => refuseRepeatedKeys(map) });
  return document.toJS();
}

/** @throws {Error} */
function refuseRepeatedKeys(map: YAMLMap): void {
  const keys = new Set<string>();
  for (const { key } of map.items) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    if (keys.has(name)) throw new Error(`Map keys must be unique: ${name}`);
    keys.add(name);
  }
}
