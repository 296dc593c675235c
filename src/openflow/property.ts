// Properties, the lists of typed values that end many structures: OpenFlow Switch Specification 1.5.1, section 7.1.2.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";

/** The length leaves the padding out that follows. */
export function encodeProperty(writer: Writer, type: number, encodeBody: () => void): void {
  const start = writer.size;
  writer.u16(type);
  writer.u16(0);
  encodeBody();
  writer.patchU16(start + 2, writer.size - start);
  writer.align8(start);
}

/** Two bytes, which the length counts with their padding. */
export function encodeU16Property(writer: Writer, type: number, value: number): void {
  encodeProperty(writer, type, () => {
    writer.u16(value);
    writer.zeros(2);
  });
}

export interface Property {
  readonly type: number;
  readonly body: Reader;
}

/** Reads to the reader's end. @throws {DecodeError} */
export function decodeProperties(reader: Reader): Property[] {
  const properties: Property[] = [];
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    if (length < 4) throw reader.error(`expected a property of at least 4 bytes, got ${length}`);
    properties.push({ type, body: reader.sub(length - 4) });
    // The last property of a structure may come without its padding.
    reader.skip(Math.min((8 - (length % 8)) % 8, reader.remaining));
  }
  return properties;
}
