// Label selectors: the text form of queries (`a=b,c!=d,e in (x,y),!f`) and the LabelSelector object of manifests. The grammar
// is that of k8s.io/apimachinery/pkg/labels.
import { SelectorError } from "./errors.ts";
import { invalid, quote } from "./field-error.ts";
import { checkLabelValue, checkQualifiedName } from "./names.ts";

export type LabelMap = Readonly<Record<string, string>>;

type SelectorOperator = "=" | "!=" | "in" | "notin" | "exists" | "!" | ">" | "<";

export interface Requirement {
  readonly key: string;
  readonly operator: SelectorOperator;
  /** One for `=`, `!=`, `>` and `<`; at least one for `in` and `notin`; none for the others. */
  readonly values: readonly string[];
}

/** All requirements must hold; the empty selector matches everything. */
export type Selector = readonly Requirement[];

/** The LabelSelector of meta/v1. */
export interface LabelSelectorObject {
  readonly matchLabels?: LabelMap;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

function meets(requirement: Requirement, labels: LabelMap): boolean {
  const { key, operator, values } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "=":
    case "in":
      return value !== undefined && values.includes(value);
    // An object without the label is not in the set either.
    case "!=":
    case "notin":
      return value === undefined || !values.includes(value);
    case ">":
    case "<":
      return compare(value, operator, values[0]);
  }
}

function compare(
  value: string | undefined,
  operator: ">" | "<",
  bound: string | undefined,
): boolean {
  if (value === undefined || bound === undefined || !isInteger(value)) return false;
  return operator === ">" ? BigInt(value) > BigInt(bound) : BigInt(value) < BigInt(bound);
}

function isInteger(text: string): boolean {
  return /^-?\d+$/.test(text);
}

export function matchesSelector(selector: Selector, labels: LabelMap | undefined): boolean {
  return selector.every((requirement) => meets(requirement, labels ?? {}));
}

interface Token {
  readonly kind: "word" | "symbol" | "end";
  readonly text: string;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (const match of text.matchAll(/([^\s=!(),><]+)|(!=|==|[=!(),><])/g)) {
    tokens.push({ kind: match[1] === undefined ? "symbol" : "word", text: match[0] });
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

const binaryOperators: Readonly<Record<string, SelectorOperator>> = {
  in: "in",
  notin: "notin",
  "=": "=",
  "==": "=",
  "!=": "!=",
  ">": ">",
  "<": "<",
};

/** The recursive descent over one selector's tokens. */
class SelectorParser {
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? { kind: "end", text: "" };
  }

  #next(): Token {
    const token = this.#peek();
    this.#position += 1;
    return token;
  }

  #at(symbol: string): boolean {
    const token = this.#peek();
    return token.kind === "symbol" && token.text === symbol;
  }

  #fail(token: Token, expected: string): never {
    throw new SelectorError(`found '${token.text}', expected: ${expected}`);
  }

  parse(): Selector {
    const requirements: Requirement[] = [];
    while (this.#peek().kind !== "end") {
      if (this.#peek().kind !== "word" && !this.#at("!")) {
        const expected =
          requirements.length > 0 ? "identifier after ','" : "!, identifier, or 'end of string'";
        this.#fail(this.#peek(), expected);
      }
      requirements.push(this.#requirement());
      const separator = this.#next();
      if (separator.kind === "end") return requirements;
      if (separator.text !== ",") this.#fail(separator, "',' or 'end of string'");
      if (this.#peek().kind === "end") this.#fail(this.#peek(), "identifier after ','");
    }
    return requirements;
  }

  #requirement(): Requirement {
    const negated = this.#at("!");
    if (negated) this.#next();
    const key = this.#next();
    if (key.kind !== "word") this.#fail(key, "identifier");
    if (negated || this.#peek().kind === "end" || this.#at(",")) {
      return checked({ key: key.text, operator: negated ? "!" : "exists", values: [] });
    }
    const token = this.#next();
    const operator = Object.hasOwn(binaryOperators, token.text)
      ? binaryOperators[token.text]
      : undefined;
    if (operator === undefined) this.#fail(token, "in, notin, =, ==, !=, gt, lt");
    const listed = operator === "in" || operator === "notin";
    const values = listed ? this.#valueList() : [this.#value()];
    return checked({ key: key.text, operator, values: [...new Set(values)].toSorted() });
  }

  /** An empty value may be left out: `a=`. */
  #value(): string {
    if (this.#peek().kind === "end" || this.#at(",")) return "";
    const token = this.#next();
    if (token.kind !== "word") this.#fail(token, "identifier");
    return token.text;
  }

  /** `(x, y)`; an empty place between commas is the empty value. */
  #valueList(): string[] {
    const open = this.#next();
    if (open.text !== "(") this.#fail(open, "'('");
    const values: string[] = [];
    for (;;) {
      const empty = this.#at(",") || this.#at(")");
      const token = empty ? { kind: "word", text: "" } : this.#next();
      if (token.kind !== "word") {
        throw new SelectorError(`found '${token.text}', expected: ',', ')' or identifier`);
      }
      values.push(token.text);
      const separator = this.#next();
      if (separator.text === ")") return values;
      if (separator.text !== ",") this.#fail(separator, "',' or ')'");
    }
  }
}

function checked(requirement: Requirement): Requirement {
  const { key, operator, values } = requirement;
  const keyErrors = checkQualifiedName(key);
  if (keyErrors.length > 0) fail(invalid("key", key, keyErrors.join("; ")));
  for (const [index, value] of values.entries()) {
    const errors = checkLabelValue(value);
    if (errors.length > 0) fail(invalid(`values[${index}][${key}]`, value, errors.join("; ")));
    if ((operator === ">" || operator === "<") && !isInteger(value)) {
      fail(
        invalid(
          `values[${index}]`,
          value,
          "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
      );
    }
  }
  return requirement;
}

function fail(error: { readonly field: string; readonly message: string }): never {
  throw new SelectorError(`${error.field}: ${error.message}`);
}

/** Parses the text of a query. The empty text is the empty selector. @throws {SelectorError} */
export function parseSelector(text: string): Selector {
  try {
    return new SelectorParser(text).parse();
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    throw new SelectorError(`unable to parse requirement: ${error.message}`, { cause: error });
  }
}

const objectOperators: Readonly<Record<string, SelectorOperator>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
};

/**
 * The selector that a LabelSelector object means; the empty object matches everything. @throws {SelectorError} on an operator
 * that does not exist or does not go with its values. Keys and values are not checked: validation did.
 */
export function selectorOf(object: LabelSelectorObject): Selector {
  const exact = Object.entries(object.matchLabels ?? {}).map(([key, value]): Requirement => ({
    key,
    operator: "=",
    values: [value],
  }));
  const expressions = (object.matchExpressions ?? []).map(
    ({ key, operator: name, values = [] }) => {
      const operator = Object.hasOwn(objectOperators, name) ? objectOperators[name] : undefined;
      if (operator === undefined) {
        throw new SelectorError(`${quote(name)} is not a valid label selector operator`);
      }
      const listed = operator === "in" || operator === "notin";
      if (listed !== values.length > 0) {
        throw new SelectorError(`${values.length} values do not go with the operator ${name}`);
      }
      return { key, operator, values };
    },
  );
  return [...exact, ...expressions];
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case "exists":
      return key;
    case "!":
      return `!${key}`;
    case "in":
    case "notin":
      return `${key} ${operator} (${values.toSorted().join(",")})`;
    case "=":
    case "!=":
    case ">":
    case "<":
      return `${key}${operator}${values[0] ?? ""}`;
  }
}

/** The text that `parseSelector` reads back, sorted by key. */
export function formatSelector(selector: Selector): string {
  const sorted = selector.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  return sorted.map(formatRequirement).join(",");
}

/** As kubectl shows it in a column: `<none>` for the selector that matches everything. */
export function formatLabelSelector(object: LabelSelectorObject | undefined): string {
  try {
    return formatSelector(selectorOf(object ?? {})) || "<none>";
  } catch (error) {
    if (error instanceof SelectorError) return "<error>";
    throw error;
  }
}
