// Objects as Kubernetes' typed clients send them (`application/vnd.kubernetes.protobuf`): four magic bytes, then the message
// runtime.Unknown with the object's type and its bytes. kubectl sends what `create` makes so since 1.32. Read into what the
// same client would have written as JSON; the table of fields is made by tools/make-protobuf-fields.ts.
import type { JsonObject } from "../apimachinery/json.ts";
import table from "./protobuf-fields.json" with { type: "json" };
import { ProtobufError, type ProtobufField, readFields } from "./protobuf.ts";

const magic = Buffer.from("k8s\0", "latin1");

/** By field number: the name in JSON (empty: its fields appear around it), the type, and whether zero is left out. */
type Fields = Readonly<Record<string, readonly string[]>>;

const roots: Readonly<Record<string, string>> = table.roots;
const messages: Readonly<Record<string, Fields>> = table.messages;

/** @throws {ProtobufError} when the bytes are wrong, or of a type or with a field that is not known */
export function decodeProtobufObject(body: Buffer): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic)) {
    throw new ProtobufError("expected an object in protobuf, which begins with k8s");
  }
  let typeMeta: Buffer = Buffer.alloc(0);
  let raw: Buffer = Buffer.alloc(0);
  for (const { number, value } of readFields(body.subarray(magic.length))) {
    if (number === 1) typeMeta = bytesOf(value);
    if (number === 2) raw = bytesOf(value);
  }
  const names = new Map(
    [...readFields(typeMeta)].map(({ number, value }) => [number, textOf(value)]),
  );
  const [apiVersion, kind] = [names.get(1) ?? "", names.get(2) ?? ""];
  const id = `${apiVersion}/${kind}`;
  const message = Object.hasOwn(roots, id) ? roots[id] : undefined;
  if (message === undefined) throw new ProtobufError(`${id} is not read as protobuf: send JSON`);
  return { apiVersion, kind, ...decodeMessage(message, raw) };
}

function decodeMessage(name: string, bytes: Buffer): JsonObject {
  const fields = messages[name];
  if (fields === undefined) throw new ProtobufError(`message ${name} is not known`);
  const object: JsonObject = {};
  for (const field of readFields(bytes)) {
    const known = Object.hasOwn(fields, field.number) ? fields[field.number] : undefined;
    if (known === undefined) {
      // Dropping it could change what the object means.
      throw new ProtobufError(`field ${field.number} of ${name} is not known: send JSON`);
    }
    const [json = "", type = "", omitsZero] = known;
    if (json === "")
      Object.assign(object, decodeMessage(type.replace(/^optional /, ""), bytesOf(field.value)));
    else setField(object, { json, type, omitsZero: omitsZero !== undefined }, field);
  }
  return object;
}

function setField(
  object: JsonObject,
  { json, type, omitsZero }: { json: string; type: string; omitsZero: boolean },
  { value }: ProtobufField,
): void {
  const [shape, item = ""] = splitShape(type);
  switch (shape) {
    case "list": {
      const list = Array.isArray(object[json]) ? object[json] : [];
      object[json] = [...list, decodeValue(item, value)];
      return;
    }
    case "map": {
      const entry = new Map(
        [...readFields(bytesOf(value))].map((part) => [part.number, part.value]),
      );
      const key = textOf(entry.get(1) ?? Buffer.alloc(0));
      const decoded = decodeValue(item, entry.get(2) ?? Buffer.alloc(0));
      object[json] = Object.fromEntries([...Object.entries(object[json] ?? {}), [key, decoded]]);
      return;
    }
    case "optional":
      object[json] = decodeValue(item, value);
      return;
    case "plain": {
      const decoded = decodeValue(type, value);
      const zero = decoded === "" || decoded === 0 || decoded === false || decoded === undefined;
      if (!(zero && omitsZero)) object[json] = decoded;
    }
  }
}

function splitShape(type: string): [shape: "list" | "map" | "optional" | "plain", item?: string] {
  const match = /^(list|map|optional) (.*)$/.exec(type);
  const shape = match?.[1];
  if (shape === "list" || shape === "map" || shape === "optional") return [shape, match?.[2] ?? ""];
  return ["plain"];
}

function decodeValue(type: string, value: ProtobufField["value"]): unknown {
  switch (type) {
    case "string":
      return textOf(value);
    case "integer":
      return integerOf(value);
    case "boolean":
      return integerOf(value) !== 0;
    case "double":
      return bytesOf(value).readDoubleLE();
    case "bytes":
      return bytesOf(value).toString("base64");
    case "time":
      return timeOf(value, 0);
    case "microTime":
      return timeOf(value, 6);
    case "duration":
      return `${Number(partsOf(value).get(1) ?? 0n) / 1e9}s`;
    case "quantity":
      return textOf(partsOf(value).get(1) ?? Buffer.alloc(0));
    case "fields":
      return JSON.parse(textOf(partsOf(value).get(1) ?? Buffer.from("{}")));
    case "intOrString": {
      const parts = partsOf(value);
      const isText = parts.get(1) === 1n;
      return isText ? textOf(parts.get(3) ?? Buffer.alloc(0)) : integerOf(parts.get(2) ?? 0n);
    }
    default:
      return decodeMessage(type, bytesOf(value));
  }
}

/** RFC 3339; undefined for Go's zero time, which has no bytes. */
function timeOf(value: ProtobufField["value"], digits: 0 | 6): string | undefined {
  const parts = partsOf(value);
  if (parts.size === 0) return undefined;
  const seconds = integerOf(parts.get(1) ?? 0n);
  const micros = Math.floor(integerOf(parts.get(2) ?? 0n) / 1000);
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw new ProtobufError(`${seconds} is no time`);
  const whole = date.toISOString().slice(0, -5);
  return digits === 0 ? `${whole}Z` : `${whole}.${String(micros).padStart(digits, "0")}Z`;
}

function partsOf(value: ProtobufField["value"]): Map<number, ProtobufField["value"]> {
  return new Map([...readFields(bytesOf(value))].map((part) => [part.number, part.value]));
}

function integerOf(value: ProtobufField["value"]): number {
  if (typeof value === "bigint") return Number(BigInt.asIntN(64, value));
  throw new ProtobufError("expected a number");
}

function bytesOf(value: ProtobufField["value"]): Buffer {
  if (typeof value !== "bigint") return value;
  throw new ProtobufError("expected text or a message");
}

function textOf(value: ProtobufField["value"]): string {
  return bytesOf(value).toString("utf8");
}
