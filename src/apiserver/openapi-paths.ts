// The paths of OpenAPI documents. kubectl looks for the operations of a kind, and in their parameters for dryRun and
// fieldValidation, to know whether the server understands them.
import type { JsonObject } from "../apimachinery/json.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import type { OpenApiDialect } from "../apimachinery/openapi.ts";

const patchTypes = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
];

/** Operations by path: `component` is the kind's schema. */
export function renderPaths(
  dialect: OpenApiDialect,
  kind: KindDefinition,
  component: string,
): Record<string, JsonObject> {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const base = kind.namespaced
    ? `${root}/namespaces/{namespace}/${kind.plural}`
    : `${root}/${kind.plural}`;
  const writer = new OperationWriter(dialect, kind, component);
  return {
    [base]: {
      get: writer.operation("list"),
      post: writer.operation("create"),
      delete: writer.operation("deletecollection"),
      parameters: writer.placeParameters(false),
    },
    [`${base}/{name}`]: {
      get: writer.operation("get"),
      put: writer.operation("update"),
      patch: writer.operation("patch"),
      delete: writer.operation("delete"),
      parameters: writer.placeParameters(true),
    },
  };
}

type Verb = "list" | "create" | "deletecollection" | "get" | "update" | "patch" | "delete";

const actions: Readonly<Record<Verb, string>> = {
  list: "list",
  create: "post",
  deletecollection: "deletecollection",
  get: "get",
  update: "put",
  patch: "patch",
  delete: "delete",
};

const selectorParameters = ["labelSelector", "fieldSelector", "continue", "resourceVersion"];
const writeParameters = ["dryRun", "fieldManager", "fieldValidation"];
const parametersOf: Readonly<Record<Verb, readonly string[]>> = {
  list: [...selectorParameters, "resourceVersionMatch", "watch", "allowWatchBookmarks"],
  create: writeParameters,
  deletecollection: [...selectorParameters, "dryRun", "propagationPolicy"],
  get: ["resourceVersion"],
  update: writeParameters,
  patch: [...writeParameters, "force"],
  delete: ["dryRun", "gracePeriodSeconds", "propagationPolicy"],
};

class OperationWriter {
  readonly #dialect: OpenApiDialect;
  readonly #kind: KindDefinition;
  readonly #component: string;

  constructor(dialect: OpenApiDialect, kind: KindDefinition, component: string) {
    this.#dialect = dialect;
    this.#kind = kind;
    this.#component = component;
  }

  operation(verb: Verb): JsonObject {
    const { group, version, kind, namespaced } = this.#kind;
    const hasBody = verb === "create" || verb === "update" || verb === "patch";
    const parameters = parametersOf[verb].map((name) => this.#parameter("query", name, "string"));
    const scope = namespaced ? "Namespaced" : "";
    return {
      operationId: `${verb}${groupName(group)}${capital(version)}${scope}${kind}`,
      description: `${verb} ${kind}`,
      ...this.#body(hasBody, verb, parameters),
      responses: { "200": { description: "OK", ...this.#content(verb) } },
      "x-kubernetes-action": actions[verb],
      "x-kubernetes-group-version-kind": { group, version, kind },
    };
  }

  placeParameters(named: boolean): JsonObject[] {
    const names = [...(named ? ["name"] : []), ...(this.#kind.namespaced ? ["namespace"] : [])];
    return names.map((name) => this.#parameter("path", name, "string"));
  }

  #body(hasBody: boolean, verb: Verb, parameters: readonly JsonObject[]): JsonObject {
    const consumes = verb === "patch" ? patchTypes : ["application/json", "application/yaml"];
    if (!hasBody) return { parameters };
    const schema = verb === "patch" ? { type: "object" } : this.#reference();
    if (this.#dialect === "v3") {
      const content = Object.fromEntries(consumes.map((type) => [type, { schema }]));
      return { parameters, requestBody: { content, required: true } };
    }
    const body = { in: "body", name: "body", required: true, schema };
    return { parameters: [...parameters, body], consumes, produces: ["application/json"] };
  }

  #content(verb: Verb): JsonObject {
    // Lists and statuses have no component: nobody asks for them.
    if (verb === "list" || verb.startsWith("delete")) return {};
    const schema = this.#reference();
    return this.#dialect === "v3" ? { content: { "application/json": { schema } } } : { schema };
  }

  #parameter(place: "query" | "path", name: string, type: string): JsonObject {
    const head = { in: place, name, ...(place === "path" && { required: true }) };
    return this.#dialect === "v3" ? { ...head, schema: { type } } : { ...head, type };
  }

  #reference(): JsonObject {
    const prefix = this.#dialect === "v3" ? "#/components/schemas/" : "#/definitions/";
    return { $ref: prefix + this.#component };
  }
}

function groupName(group: string): string {
  return group === "" ? "Core" : group.split(".").map(capital).join("");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
