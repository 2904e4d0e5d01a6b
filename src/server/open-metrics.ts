/** Content types of the two exposition formats. */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
export const OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const COUNTER_TYPE_LINE = /^# TYPE (\S+)_total counter$/gm;

/**
 * Prometheus text as OpenMetrics 1.0: a counter family is named without `_total` (its samples keep it),
 * no empty lines, and an end mark. prom-client has an OpenMetrics mode of its own, but it renames the counters for good,
 * so that the next Prometheus scrape would get the wrong names.
 */
export function toOpenMetrics(prometheusText: string): string {
  const counters = new Set([...prometheusText.matchAll(COUNTER_TYPE_LINE)].map((match) => `${match[1]}_total`));
  const lines = prometheusText.split("\n").filter((line) => line !== "");
  return `${lines.map((line) => renameFamily(line, counters)).join("\n")}\n# EOF\n`;
}

function renameFamily(line: string, counters: ReadonlySet<string>): string {
  const match = /^(# (?:HELP|TYPE) )(\S+)(.*)$/.exec(line);
  if (match === null || !counters.has(match[2] ?? "")) return line;
  return `${match[1]}${match[2]?.slice(0, -"_total".length)}${match[3]}`;
}
