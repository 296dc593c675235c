// OpenAPI documents: what kubectl explain prints and what kubectl checks manifests with. Version 3 has one document a group
// version, version 2 one for everything, as JSON or in the encoding of gnostic.
import { createHash } from "node:crypto";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { apiVersionOf } from "../apimachinery/object.ts";
import { type OpenApiDialect, OpenApiComponents } from "../apimachinery/openapi.ts";
import { type ApiRequest, type ApiResponse } from "./api-request.ts";
import type { Catalog } from "./catalog.ts";
import { encodeSwagger } from "./gnostic.ts";
import { parseAccept } from "./media-type.ts";
import { renderPaths } from "./openapi-paths.ts";
import { json } from "./responses.ts";

const swaggerType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/** Older clients ask for a type with a sign that RFC 6838 does not allow, and refuse to read it in the answer. */
const swaggerTypes = new Set([
  swaggerType,
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
]);
const info = { title: "Isobar", version: "v1" };

/** Rendered when first asked for, and kept. */
export class OpenApiDocuments {
  readonly #catalog: Catalog;
  readonly #documents = new Map<string, string>();
  #swagger: unknown;
  #encodedSwagger: Uint8Array | undefined;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Answers a path below /openapi; undefined when there is nothing. */
  find(path: string, request: ApiRequest): ApiResponse | undefined {
    if (path === "/openapi/v2") return this.#findSwagger(request);
    if (path === "/openapi/v3") return json(200, { paths: this.#index() });
    const prefix = "/openapi/v3/";
    const body = path.startsWith(prefix) ? this.#document(path.slice(prefix.length)) : undefined;
    return body === undefined ? undefined : { code: 200, contentType: "application/json", body };
  }

  #findSwagger(request: ApiRequest): ApiResponse {
    this.#swagger ??= this.#renderSwagger();
    const binary = parseAccept(request.accept).some(({ type }) => swaggerTypes.has(type));
    if (!binary) return json(200, this.#swagger);
    this.#encodedSwagger ??= encodeSwagger(this.#swagger);
    return { code: 200, contentType: swaggerType, body: this.#encodedSwagger };
  }

  #index(): Record<string, { serverRelativeURL: string }> {
    const paths = this.#catalog.groupVersions().map((one) => {
      const root = rootOf(one);
      const hash = createHash("sha256")
        .update(this.#document(root) ?? "")
        .digest("hex");
      return [
        root,
        { serverRelativeURL: `/openapi/v3/${root}?hash=${hash.toUpperCase()}` },
      ] as const;
    });
    return Object.fromEntries(paths);
  }

  /** The document of `api/VERSION` or `apis/GROUP/VERSION`. */
  #document(root: string): string | undefined {
    const known = this.#documents.get(root);
    if (known !== undefined) return known;
    const found = this.#catalog.groupVersions().find((one) => rootOf(one) === root);
    if (found === undefined) return undefined;
    const document = render("v3", this.#catalog.kindsOf(found.group, found.version));
    const text = JSON.stringify({
      openapi: "3.0.0",
      info,
      paths: document.paths,
      components: { schemas: document.schemas },
    });
    this.#documents.set(root, text);
    return text;
  }

  #renderSwagger(): unknown {
    const { paths, schemas } = render("v2", this.#catalog.kinds);
    return { swagger: "2.0", info, paths, definitions: schemas };
  }
}

function rootOf({ group, version }: { group: string; version: string }): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

function render(
  dialect: OpenApiDialect,
  kinds: readonly KindDefinition[],
): { paths: object; schemas: object } {
  const components = new OpenApiComponents(dialect);
  for (const kind of kinds) {
    const { group, version } = kind;
    const extra = { "x-kubernetes-group-version-kind": [{ group, version, kind: kind.kind }] };
    components.add(componentOf(kind), kind.schema, extra);
  }
  const paths = Object.fromEntries(
    kinds.flatMap((kind) => Object.entries(renderPaths(dialect, kind, componentOf(kind)))),
  );
  return { paths, schemas: components.components() };
}

/** Upstream names components by Go package; this is what its pattern makes of a group: `io.isobar.v1.Domain`. */
function componentOf(kind: KindDefinition): string {
  if (kind.schema.$id !== undefined) return kind.schema.$id;
  const reversed = kind.group.split(".").toReversed().join(".");
  return `${reversed || "io.k8s.api.core"}.${apiVersionOf(kind).split("/").at(-1)}.${kind.kind}`;
}
