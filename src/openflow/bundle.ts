// Bundles: OpenFlow Switch Specification 1.5.1, section 7.3.9.
import type { BodyCodec } from "./codec.ts";
import { decodeFlags, encodeFlags, nameOf } from "./flag.ts";

const controlTypes = {
  "open-request": 0,
  "open-reply": 1,
  "close-request": 2,
  "close-reply": 3,
  "commit-request": 4,
  "commit-reply": 5,
  "discard-request": 6,
  "discard-reply": 7,
} as const;

/** Atomic: all or nothing, also for packets under way. Ordered: one after the other as added. */
export const bundleFlagBits = { atomic: 1, ordered: 2 } as const;

export interface BundleControl {
  readonly kind: "bundle-control";
  readonly bundle: number;
  readonly type: keyof typeof controlTypes;
  /** The same in every message of a bundle. */
  readonly flags: readonly (keyof typeof bundleFlagBits)[];
}

export const bundleControlCodec: BodyCodec<BundleControl> = {
  type: 33,
  encode(writer, control) {
    writer.u32(control.bundle);
    writer.u16(controlTypes[control.type]);
    writer.u16(encodeFlags(bundleFlagBits, control.flags));
  },
  decode(reader) {
    const bundle = reader.u32();
    const code = reader.u16();
    const type = nameOf(controlTypes, code);
    if (type === undefined) throw reader.error(`expected a bundle control type, got ${code}`);
    return {
      kind: "bundle-control",
      bundle,
      type,
      flags: decodeFlags(bundleFlagBits, reader.u16()),
    };
  },
};
