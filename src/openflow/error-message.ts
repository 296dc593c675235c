// OFPT_ERROR: OpenFlow Switch Specification 1.5.1, section 7.5.4.
import type { BodyCodec } from "./codec.ts";
import { errorName } from "./error-code.ts";

const experimenterType = 0xffff;

export interface ErrorMessage {
  readonly kind: "error";
  /** Such as `OFPBMC_BAD_PREREQ`; follows from the numbers, so encoding does not look at it. */
  readonly name: string;
  readonly type: number;
  readonly code: number;
  /** Set when the error is an experimenter's; `code` is then the experimenter's own. */
  readonly experimenter?: number;
  /** The request that failed, or its first 64 bytes or more; text when the version negotiation failed. */
  readonly data: Uint8Array;
}

export const errorCodec: BodyCodec<ErrorMessage> = {
  type: 1,
  encode(writer, error) {
    writer.u16(error.type);
    writer.u16(error.code);
    if (error.experimenter !== undefined) writer.u32(error.experimenter);
    writer.bytes(error.data);
  },
  decode(reader) {
    const type = reader.u16();
    const code = reader.u16();
    const experimenter = type === experimenterType ? reader.u32() : undefined;
    return {
      kind: "error",
      name: errorName(type, code, experimenter),
      type,
      code,
      ...(experimenter === undefined ? {} : { experimenter }),
      data: reader.rest(),
    };
  },
};
