import type { KindDefinition } from "../apimachinery/kind.ts";

/** The kinds that a server serves, by where they are found. */
export class Catalog {
  readonly kinds: readonly KindDefinition[];
  readonly #byPath: ReadonlyMap<string, KindDefinition>;
  readonly #byKind: ReadonlyMap<string, KindDefinition>;

  /** @throws {TypeError} when two kinds claim one place */
  constructor(kinds: readonly KindDefinition[]) {
    this.kinds = kinds;
    this.#byPath = new Map(kinds.map((kind) => [pathOf(kind), kind]));
    this.#byKind = new Map(
      kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.kind}`, kind]),
    );
    if (this.#byPath.size < kinds.length || this.#byKind.size < kinds.length) {
      throw new TypeError("two kinds have the same group, version and name");
    }
  }

  find(group: string, version: string, plural: string): KindDefinition | undefined {
    return this.#byPath.get(pathOf({ group, version, plural }));
  }

  findKind(apiVersion: string, kind: string): KindDefinition | undefined {
    const full = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
    return this.#byKind.get(`${full}/${kind}`);
  }

  /** Group and version pairs in the order of their first kind, the core group's first. */
  groupVersions(): { readonly group: string; readonly version: string }[] {
    const seen = new Map<string, { group: string; version: string }>();
    for (const { group, version } of this.kinds)
      seen.set(`${group}/${version}`, { group, version });
    const found = [...seen.values()];
    return [...found.filter((one) => one.group === ""), ...found.filter((one) => one.group !== "")];
  }

  kindsOf(group: string, version: string): KindDefinition[] {
    return this.kinds.filter((kind) => kind.group === group && kind.version === version);
  }
}

function pathOf(kind: Pick<KindDefinition, "group" | "version" | "plural">): string {
  return `${kind.group}/${kind.version}/${kind.plural}`;
}
