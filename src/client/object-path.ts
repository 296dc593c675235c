import type { KindDefinition } from "../apimachinery/kind.ts";

export interface ObjectPlace {
  /** Absent for kinds without namespaces, and for what spans all of them. */
  readonly namespace?: string;
  readonly name: string;
}

/** The path of a kind's collection, of one object, or of a part of it. */
export function pathOf(
  kind: Pick<KindDefinition, "group" | "version" | "plural" | "namespaced">,
  { namespace, name }: Partial<ObjectPlace>,
  subresource?: string,
): string {
  const root = kind.group === "" ? "api" : `apis/${kind.group}`;
  const inNamespace = kind.namespaced && namespace !== undefined;
  const segments = [
    ...(inNamespace ? ["namespaces", namespace] : []),
    kind.plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return `/${root}/${kind.version}/${segments.map(encodeURIComponent).join("/")}`;
}
