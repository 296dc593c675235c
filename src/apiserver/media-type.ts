// Content negotiation as the Kubernetes API does it: `as`, `g` and `v` parameters ask for an object in another shape.
// RFC 9110, sections 8.3.1 and 12.5.1; quality values are ignored, the order of the list counts, as upstream.

export interface MediaType {
  /** Lower case. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export function parseMediaType(text: string): MediaType {
  const [type = "", ...rest] = text.split(";").map((part) => part.trim());
  const parameters: Record<string, string> = {};
  for (const part of rest) {
    const [name = "", value = ""] = part.split("=", 2);
    parameters[name.toLowerCase()] = value;
  }
  return { type: type.toLowerCase(), parameters };
}

/** The media types of an Accept header; anything, when there is none. */
export function parseAccept(header: string | undefined): MediaType[] {
  if (header === undefined || header.trim() === "") return [{ type: "*/*", parameters: {} }];
  return header.split(",").map(parseMediaType);
}

export type Encoding = "json" | "yaml";

const encodings: Readonly<Record<string, Encoding>> = {
  "application/json": "json",
  "application/yaml": "yaml",
  "application/*": "json",
  "*/*": "json",
};

export function encodingOf({ type }: MediaType): Encoding | undefined {
  return Object.hasOwn(encodings, type) ? encodings[type] : undefined;
}

/** How objects are shown: whole, as rows of a table, or their metadata alone. */
export interface Shape {
  readonly encoding: Encoding;
  readonly as: "object" | "table" | "metadata";
  /** Version of meta.k8s.io for tables and metadata. */
  readonly version: "v1" | "v1beta1";
}

const shapes: Readonly<Record<string, Shape["as"]>> = {
  Table: "table",
  PartialObjectMetadata: "metadata",
  PartialObjectMetadataList: "metadata",
};

/** The first shape asked for that there is; undefined when there is none. */
export function negotiateShape(accept: string | undefined): Shape | undefined {
  for (const mediaType of parseAccept(accept)) {
    const encoding = encodingOf(mediaType);
    if (encoding === undefined) continue;
    const { as: name, v: version, g: group } = mediaType.parameters;
    if (name === undefined) return { encoding, as: "object", version: "v1" };
    const as = Object.hasOwn(shapes, name) ? shapes[name] : undefined;
    if (as === undefined || group !== "meta.k8s.io") continue;
    if (version === "v1" || version === "v1beta1") return { encoding, as, version };
  }
  return undefined;
}
