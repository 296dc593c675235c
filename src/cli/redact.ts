// What leaves a cluster in a support bundle has no secrets, as far as one can tell them by their place.
import { isObject, type JsonObject } from "../apimachinery/json.ts";

const hidden = "(left out)";
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/** A copy without values of environment variables, commands' arguments, and what repeats them. */
export function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    // Who has changed a field helps nobody, and is most of an object.
    if (key === "managedFields") continue;
    copy[key] = hides(key, member) ? hide(member) : redact(member);
  }
  return copy;
}

function hides(key: string, value: unknown): boolean {
  if (key === lastApplied) return true;
  if (key === "env" || key === "args" || key === "command") return Array.isArray(value);
  // Values of a Secret or ConfigMap.
  return (key === "data" || key === "stringData" || key === "binaryData") && isObject(value);
}

function hide(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown) =>
      isObject(item) && typeof item["name"] === "string"
        ? { name: item["name"], value: hidden }
        : hidden,
    );
  }
  if (!isObject(value)) return hidden;
  return Object.fromEntries(Object.keys(value).map((key) => [key, hidden]));
}
