// Durations as kubectl prints them (AGE).

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayHours = 24;
const yearHours = 365 * dayHours;

/** `90s`, `3m20s`, `5h10m`, `3d4h`, `2y15d`; two units while the first is small. `<invalid>` for the future. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (!(seconds >= -1)) return "<invalid>";
  if (durationMs < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(durationMs / minuteMs);
  if (minutes < 10) return pair(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(durationMs / hourMs);
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / dayHours);
  if (hours < 8 * dayHours) return pair(days, "d", hours % dayHours, "h");
  if (hours < 2 * yearHours) return `${days}d`;
  const years = Math.trunc(hours / yearHours);
  return hours < 8 * yearHours ? pair(years, "y", days % 365, "d") : `${years}y`;
}

// The smaller unit is left out when it is zero.
function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** Time since a timestamp (RFC 3339); `<unknown>` when there is none or it does not parse. */
export function formatAge(timestamp: string | undefined, now: Date): string {
  const time = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
  return Number.isNaN(time) ? "<unknown>" : formatDuration(now.getTime() - time);
}
