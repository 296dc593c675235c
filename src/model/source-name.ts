// Names of what several sources hold, told apart: those of the first source are as they are, those of another have its name
// in front (`east:shop/web`).

/** Told from every name in Kubernetes by its colon. */
const separator = ":";

/** The source of a zone, endpoint, domain or node in the model; empty for the first. */
export function sourceOf(id: string): string {
  const end = id.indexOf(separator);
  return end < 0 ? "" : id.slice(0, end);
}

/** A source's name in the model. */
export function qualifiedName(source: string, name: string): string {
  return source === "" ? name : `${source}${separator}${name}`;
}

/** What the source itself calls it. */
export function nameWithin(id: string): string {
  return id.slice(id.indexOf(separator) + 1);
}
