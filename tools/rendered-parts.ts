// Pages with parts that come from the code, between `<!-- rendered: name -->` and `<!-- end -->`.

/** The page with everything between its markers rendered again. @throws {Error} when a marker names no part */
export function renderParts(page: string, parts: Readonly<Record<string, () => string>>): string {
  return page.replaceAll(
    /(<!-- rendered: (\w+) -->)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => {
      const render = parts[name];
      if (render === undefined) throw new Error(`expected a part of the page, got "${name}"`);
      return `${start}\n\n${render()}\n\n${end}`;
    },
  );
}
