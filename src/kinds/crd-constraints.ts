// Constraints that several own kinds give to their CRDs. The patterns are those of RE2 and of ECMAScript alike; they let
// through a little more than the kinds' own checks, and never less.

const octet = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
const v4 = `${octet}([.]${octet}){3}`;
const v6 = "([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}";

export const addressText = { pattern: `^(${v4}|${v6})$`, maxLength: 39 };

export const cidrText = {
  pattern: `^(${v4}/(3[0-2]|[12]?[0-9])|${v6}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$`,
  maxLength: 43,
};

/** A CIDR, or the first and the last address of a range. */
export const rangeText = {
  pattern: `^(${v4}/(3[0-2]|[12]?[0-9])|${v6}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])|${v4}-${v4}|${v6}-${v6})$`,
  maxLength: 79,
};

/** A name of another object. */
export const nameText = { minLength: 1, maxLength: 253 };

export const immutable = { rule: "self == oldSelf", message: "field is immutable" };

/** A list of at most two addresses or CIDRs. */
export const oneOfEachFamily = {
  rule: "self.size() < 2 || self[0].contains(':') != self[1].contains(':')",
  message: "at most one of each address family",
};
