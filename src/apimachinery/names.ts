// Checks of names and of other short texts. Each returns what is wrong, in upstream's words; nothing when it is well formed
// (k8s.io/apimachinery/pkg/util/validation). The expressions are those of RFC 1123 and RFC 1035 as Kubernetes narrows them.

const label1123 = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const subdomain1123 = `${label1123}(\\.${label1123})*`;
const label1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const qualified = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const configKey = "[-._a-zA-Z0-9]+";

/** What a kind asks of its objects' names. */
export type NameRule = "subdomain" | "label" | "label-1035";

type Check = (text: string) => string[];

function wholly(expression: string): RegExp {
  return new RegExp(`^${expression}$`);
}

const patterns = {
  label1123: wholly(label1123),
  subdomain1123: wholly(subdomain1123),
  label1035: wholly(label1035),
  qualified: wholly(qualified),
  labelValue: wholly(`(${qualified})?`),
  configKey: wholly(configKey),
};

/** Lengths are counted in bytes of UTF-8, as Go counts them. */
export function lengthBytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function tooLong(text: string, maximum: number): string[] {
  return lengthBytes(text) > maximum ? [`must be no more than ${maximum} characters`] : [];
}

function mismatch(what: string, expression: string, examples: readonly string[]): string {
  // Two spaces before `or`, for so upstream has it and tools compare the text.
  const shown = examples.map((example) => `'${example}'`).join(",  or ");
  return `${what} (e.g. ${shown}, regex used for validation is '${expression}')`;
}

const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const label1035Rule =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const qualifiedRule =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const configKeyRule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";

/** RFC 1123 label: up to 63 lower case letters, digits and hyphens. */
export const checkDnsLabel: Check = (text) => {
  const errors = tooLong(text, 63);
  if (patterns.label1123.test(text)) return errors;
  if (patterns.subdomain1123.test(text)) return [...errors, "must not contain dots"];
  return [...errors, mismatch(labelRule, label1123, ["my-name", "123-abc"])];
};

/** RFC 1123 subdomain: labels joined by dots, up to 253 characters. */
export const checkDnsSubdomain: Check = (text) => {
  const errors = tooLong(text, 253);
  if (patterns.subdomain1123.test(text)) return errors;
  return [...errors, mismatch(subdomainRule, subdomain1123, ["example.com"])];
};

/** RFC 1035 label: as `checkDnsLabel`, and it starts with a letter. */
export const checkDns1035Label: Check = (text) => {
  const errors = tooLong(text, 63);
  if (patterns.label1035.test(text)) return errors;
  return [...errors, mismatch(label1035Rule, label1035, ["my-name", "abc-123"])];
};

function checkQualifiedPart(name: string): string[] {
  const errors = name === "" ? ["must be non-empty"] : tooLong(name, 63);
  if (!patterns.qualified.test(name)) {
    errors.push(mismatch(qualifiedRule, qualified, ["MyName", "my.name", "123-abc"]));
  }
  return errors.map((error) => `name part ${error}`);
}

/** A label's key, and whatever else is a name with an optional domain: `app`, `example.com/app`. */
export const checkQualifiedName: Check = (text) => {
  const parts = text.split("/");
  if (parts.length > 2) {
    const rule = mismatch(qualifiedRule, qualified, ["MyName", "my.name", "123-abc"]);
    const prefix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
    return [`a valid label key ${rule} ${prefix}`];
  }
  const [prefix, name] = parts.length === 2 ? parts : [undefined, text];
  const errors: string[] = [];
  if (prefix === "") errors.push("prefix part must be non-empty");
  else if (prefix !== undefined) {
    errors.push(...checkDnsSubdomain(prefix).map((error) => `prefix part ${error}`));
  }
  return [...errors, ...checkQualifiedPart(name ?? "")];
};

export const checkLabelValue: Check = (text) => {
  const errors = tooLong(text, 63);
  if (patterns.labelValue.test(text)) return errors;
  return [...errors, mismatch(labelValueRule, `(${qualified})?`, ["MyValue", "my_value", "12345"])];
};

/** IANA service name (RFC 6335 section 5.1), as used for ports. */
export const checkPortName: Check = (text) => {
  const errors = tooLong(text, 15);
  if (!/^[-a-z0-9]+$/.test(text)) {
    errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(text)) errors.push("must contain at least one letter (a-z)");
  if (text.includes("--")) errors.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) {
    errors.push("must not begin or end with a hyphen");
  }
  return errors;
};

export function checkInRange(value: number, from: number, to: number): string[] {
  return value >= from && value <= to ? [] : [`must be between ${from} and ${to}, inclusive`];
}

export function checkPortNumber(port: number): string[] {
  return checkInRange(port, 1, 65535);
}

/** An environment variable may have any printable ASCII name without `=` (relaxed form, Kubernetes 1.34). */
export const checkEnvironmentName: Check = (text) => {
  if (text === "") return ["environment variable name must be non-empty"];
  if (/^[\x20-\x3c\x3e-\x7e]+$/.test(text)) return [];
  return [
    "a valid environment variable name must consist only of printable ASCII characters other than '='",
  ];
};

/** A key of a ConfigMap or Secret: it becomes a file's name. */
export const checkConfigKey: Check = (text) => {
  const errors = tooLong(text, 253);
  if (!patterns.configKey.test(text)) {
    errors.push(mismatch(configKeyRule, configKey, ["key.name", "KEY_NAME", "key-name"]));
  }
  if (text === "." || text === "..") errors.push(`must not be '${text}'`);
  else if (text.startsWith("..")) errors.push("must not start with '..'");
  return errors;
};

const nameChecks: Readonly<Record<NameRule, Check>> = {
  subdomain: checkDnsSubdomain,
  label: checkDnsLabel,
  "label-1035": checkDns1035Label,
};

export function checkName(rule: NameRule, name: string): string[] {
  return nameChecks[rule](name);
}

/** `metadata.generateName`: a name that is still to be continued, so it may end with a hyphen. */
export function checkNamePrefix(rule: NameRule, prefix: string): string[] {
  const masked = prefix.length > 1 && prefix.endsWith("-") ? `${prefix.slice(0, -2)}a` : prefix;
  return nameChecks[rule](masked);
}
