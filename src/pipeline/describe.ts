import { type Admission, type Cookie, type FeatureName, features, refusals } from "./cookie.ts";
import { namesOf } from "./names.ts";
import type { NumberKind } from "./numbers.ts";
import { tableNamed } from "./tables.ts";

/** The id that a number stands for on the node, if it is in use. */
export type KeyOf = (kind: NumberKind, number: number) => string | undefined;

/** What the number of a feature's cookie stands for, in words. */
function describeNumber(feature: FeatureName, number: number, keyOf: KeyOf): string {
  const { counts } = features[feature];
  switch (counts) {
    case "none":
      return "";
    case "port":
      return String(number);
    case "table":
      return tableNamed(number) ?? String(number);
    case "reason":
      return namesOf(refusals).find((name) => refusals[name] === number) ?? String(number);
    case "rule":
    case "identity":
    case "domain":
    case "node":
    case "region":
    case "names":
    case "service":
    case "backend":
      return keyOf(counts, number) ?? `#${number}`;
  }
}

/** One line for people, e.g. `egress rule web-to-db allow`; ids that are not in use are shown as numbers. */
export function describeCookie(cookie: Cookie, keyOf: KeyOf): string {
  const { direction, feature, number, verdict } = cookie;
  return [direction, feature, describeNumber(feature, number, keyOf), verdict]
    .filter((word) => word !== undefined && word !== "")
    .join(" ");
}

/** As `describeCookie`, for what admitted a connection. */
export function describeAdmission(admission: Admission, keyOf: KeyOf): string {
  switch (admission.kind) {
    case "rule":
      return `rule ${keyOf("rule", admission.number) ?? `#${admission.number}`}`;
    case "notHere":
      return "not enforced on this node";
    case "open":
      return "open: no policy isolates the endpoint";
    case "ownNode":
      return "the endpoint's own node";
    case "itself":
      return "the endpoint itself";
  }
}
