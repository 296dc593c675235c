/** Values in the Prometheus text format by their series, e.g. `isobar_agent_resources{kind="rule"}`. */
export type MetricValues = ReadonlyMap<string, number>;

export function parseMetrics(text: string): MetricValues {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, series, value] = /^([a-zA-Z_:][^\s{]*(?:\{.*\})?) (\S+)/.exec(line) ?? [];
    if (series !== undefined) values.set(series, Number(value));
  }
  return values;
}

/** The label `version` of `isobar_<component>_build_info`. */
export function versionIn(values: MetricValues): string | undefined {
  for (const series of values.keys()) {
    const [, version] = /^isobar_[a-z]+_build_info\{version="([^"]*)"\}/.exec(series) ?? [];
    if (version !== undefined) return version;
  }
  return undefined;
}
