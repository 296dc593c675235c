// Draws text from standard input as a terminal window in SVG: isobar demo --once | node tools/render-terminal.ts > x.svg
import { text } from "node:stream/consumers";

const font = { size: 12, width: 7.22, line: 16 } as const;
const margin = 16;
const longest = 118;

function escape(line: string): string {
  return line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** What got through is green, what was denied is dim. */
function colour(line: string): string {
  return escape(line)
    .replaceAll("●", '<tspan fill="#7ee787">●</tspan>')
    .replaceAll("·", '<tspan fill="#6e7681">·</tspan>')
    .replace(/^(DENIED)/, '<tspan fill="#ff7b72">$1</tspan>')
    .replace(/^(==.*)$/, '<tspan fill="#79c0ff">$1</tspan>');
}

/** Lines that are too long go on, indented, in the next one. */
function wrap(line: string): string[] {
  if (line.length <= longest) return [line];
  const cut = line.lastIndexOf(" ", longest);
  const indent = " ".repeat(line.length - line.trimStart().length + 2);
  return [line.slice(0, cut), ...wrap(indent + line.slice(cut + 1))];
}

const lines = (await text(process.stdin)).trimEnd().split("\n").flatMap(wrap);
const width = Math.ceil(longest * font.width) + 2 * margin;
const height = lines.length * font.line + 2 * margin;
const rows = lines.map(
  (line, index) =>
    `<text x="${margin}" y="${margin + (index + 0.8) * font.line}" xml:space="preserve">${colour(line)}</text>`,
);
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${font.size}" fill="#e6edf3">\n` +
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n${rows.join("\n")}\n</svg>\n`,
);
