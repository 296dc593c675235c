// OpenAPI v2 documents in the protobuf encoding of gnostic (openapi.v2.Document of github.com/google/gnostic-models), which
// is all that kubectl before 1.27 reads. Field numbers are those of its OpenAPIv2.proto; what the documents of this server
// do not use is left out.
import { isObject, type JsonObject } from "../apimachinery/json.ts";
import { ProtobufWriter } from "./protobuf.ts";

type Encode = (writer: ProtobufWriter, field: number, value: unknown) => void;
type Message = Readonly<Record<string, readonly [field: number, encode: Encode]>>;

const text: Encode = (writer, field, value) => writer.text(field, String(value));
const boolean: Encode = (writer, field, value) => writer.boolean(field, value === true);
const integer: Encode = (writer, field, value) => writer.integer(field, Number(value));
const double: Encode = (writer, field, value) => writer.double(field, Number(value));
/** Any JSON value, as YAML text: message Any, field `yaml`. */
const any: Encode = (writer, field, value) =>
  writer.message(field, (inner) => inner.text(2, JSON.stringify(value)));

function list(encode: Encode): Encode {
  return (writer, field, value) => {
    for (const item of [value].flat()) encode(writer, field, item);
  };
}

/** A message whose only field, number 1 unless said otherwise, holds the value. */
function wrapped(encode: Encode, at = 1): Encode {
  return (writer, field, value) => writer.message(field, (inner) => encode(inner, at, value));
}

/** An object of any names: repeated messages of a name (1) and a value (2). */
function named(encode: Encode): Encode {
  return (writer, field, value) => {
    for (const [name, item] of Object.entries(isObject(value) ? value : {})) {
      writer.message(field, (inner) => {
        inner.text(1, name);
        encode(inner, 2, item);
      });
    }
  };
}

/** `extensions` is the field for keywords that begin with x-. Fields are looked up late: schemas hold schemas. */
function message(fields: () => Message, extensions: number): Encode {
  return (writer, field, value) =>
    writer.message(field, (inner) => writeFields(inner, fields(), extensions, value));
}

function writeFields(
  writer: ProtobufWriter,
  fields: Message,
  extensions: number,
  value: unknown,
): void {
  const object: JsonObject = isObject(value) ? value : {};
  for (const [name, item] of Object.entries(object)) {
    const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (known !== undefined) known[1](writer, known[0], item);
    else if (name.startsWith("x-")) named(any)(writer, extensions, { [name]: item });
  }
}

const schema = message(() => schemaFields, 31);
const schemaOrBoolean: Encode = (writer, field, value) =>
  writer.message(field, (inner) =>
    typeof value === "boolean" ? inner.boolean(2, value) : schema(inner, 1, value),
  );

const schemaFields: Message = {
  $ref: [1, text],
  format: [2, text],
  title: [3, text],
  description: [4, text],
  default: [5, any],
  maximum: [7, double],
  minimum: [9, double],
  maxLength: [11, integer],
  minLength: [12, integer],
  pattern: [13, text],
  maxItems: [14, integer],
  minItems: [15, integer],
  required: [19, list(text)],
  enum: [20, list(any)],
  additionalProperties: [21, schemaOrBoolean],
  type: [22, wrapped(list(text))],
  items: [23, wrapped(list(schema))],
  properties: [25, wrapped(named(schema))],
};

const bodyParameter = message(
  () => ({
    description: [1, text],
    name: [2, text],
    in: [3, text],
    required: [4, boolean],
    schema: [5, schema],
  }),
  6,
);
const queryParameter = message(
  () => ({
    required: [1, boolean],
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [6, text],
  }),
  23,
);
const pathParameter = message(
  () => ({
    required: [1, boolean],
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [5, text],
  }),
  22,
);
/** ParametersItem holds a Parameter, which holds a BodyParameter or, one message deeper, one of the others. */
const parameter: Encode = (writer, field, value) => {
  const place = isObject(value) ? value["in"] : undefined;
  const encode =
    place === "body"
      ? wrapped(bodyParameter, 1)
      : wrapped(place === "path" ? wrapped(pathParameter, 4) : wrapped(queryParameter, 3), 2);
  writer.message(field, (inner) => encode(inner, 1, value));
};

const response = message(() => ({ description: [1, text], schema: [2, wrapped(schema)] }), 5);
const operation = message(
  () => ({
    description: [3, text],
    operationId: [5, text],
    produces: [6, list(text)],
    consumes: [7, list(text)],
    parameters: [8, list(parameter)],
    responses: [9, wrapped(named(wrapped(response)))],
  }),
  13,
);
const pathItem = message(
  () => ({
    get: [2, operation],
    put: [3, operation],
    post: [4, operation],
    delete: [5, operation],
    patch: [8, operation],
    parameters: [9, list(parameter)],
  }),
  10,
);
const documentFields: Message = {
  swagger: [1, text],
  info: [2, message(() => ({ title: [1, text], version: [2, text] }), 7)],
  paths: [8, wrapped(named(pathItem), 2)],
  definitions: [9, wrapped(named(schema))],
};

/** Encodes a Swagger 2.0 document. */
export function encodeSwagger(document: unknown): Uint8Array {
  const writer = new ProtobufWriter();
  writeFields(writer, documentFields, 16, document);
  return writer.encode();
}
