// Canonical text for identities and groups: words that no label, however odd, can forge.

const plain = /^[A-Za-z0-9._/-]+$/;

/** The text itself where it is plain, else quoted as JSON; so separators never appear outside quotes. */
export function word(text: string): string {
  return plain.test(text) ? text : JSON.stringify(text);
}

/** The word that the text begins with, up to the first space; what `word` was given. `undefined` where there is none. */
export function firstWord(text: string): string | undefined {
  const [quoted] = /^"(\\.|[^"\\])*"/.exec(text) ?? [];
  if (quoted === undefined) return text.split(" ", 1)[0] || undefined;
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined;
  }
}

/** By code units, which every controller compares alike. */
export function byCodeUnits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
