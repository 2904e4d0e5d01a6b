/** Line charts as SVG with both axes logarithmic, on a card of their own that follows the reader's light or dark theme. */

export interface Chart {
  readonly title: string;
  /** What the numbers of the vertical axis are. */
  readonly unit: string;
  /** What the numbers of the horizontal axis are. */
  readonly across: string;
  readonly series: readonly Series[];
}

interface Series {
  readonly name: string;
  readonly isOurs: boolean;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const WIDTH = 760;
const HEIGHT = 400;
const PLOT = { left: 74, right: 484, top: 70, bottom: 344 } as const;
const LABEL_GAP = 17;
/** Told apart by the colour-blind, too (Okabe and Ito), and each with marks of its own. */
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c"] as const;

/** Without variables, which not every reader of SVG knows: without media queries it is light. */
const STYLE = `<style>
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  text.title { font-size: 15px; font-weight: 600 } text.unit { fill: #57606a } text.bold { font-weight: 700 }
  .card { fill: #ffffff; stroke: #d8dee4 } .grid { stroke: #d8dee4 } .line { fill: none; stroke-width: 2 } .ours { stroke-width: 4 }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } text.unit { fill: #9aa4ae } .card { fill: #161b22; stroke: #30363d } .grid { stroke: #30363d } }
</style>`;

/** Draws a chart; every value must be above 0. */
export function drawChart(chart: Chart): string {
  const all = chart.series.flatMap(({ points }) => points);
  const horizontal = scaleOf(all.map(({ x }) => x), PLOT.left, PLOT.right);
  const vertical = scaleOf(powersAround(all.map(({ y }) => y)), PLOT.bottom, PLOT.top);
  const xs = [...new Set(all.map(({ x }) => x))].sort((left, right) => left - right);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeXml(chart.title)}">`,
    STYLE,
    `<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>`,
    `<text class="title" x="20" y="28">${escapeXml(chart.title)}</text>`,
    `<text class="unit" x="20" y="46">${escapeXml(chart.unit)}</text>`,
    ...powersAround(all.map(({ y }) => y)).map((y) => horizontalLine(vertical(y), y)),
    ...xs.map((x) => `<text x="${fixed(horizontal(x))}" y="${PLOT.bottom + 20}" text-anchor="middle">${x}</text>`),
    `<text class="unit" x="${(PLOT.left + PLOT.right) / 2}" y="${PLOT.bottom + 40}" text-anchor="middle">${escapeXml(chart.across)}</text>`,
    ...chart.series.map((series, index) => drawSeries(series, COLOURS[index % COLOURS.length] ?? COLOURS[0], horizontal, vertical)),
    ...labels(chart.series, vertical),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

type Scale = (value: number) => number;

/** From the smallest value at `from` to the largest at `to`, by logarithms. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
  return (value) => from + ((Math.log10(value) - low) / (high - low || 1)) * (to - from);
}

/** Powers of ten from below the smallest to above the largest. */
function powersAround(values: readonly number[]): readonly number[] {
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  return Array.from({ length: Math.max(1, high - low) + 1 }, (_, index) => 10 ** (low + index));
}

function horizontalLine(at: number, value: number): string {
  const label = value >= 1 ? value.toLocaleString("en") : String(Number(value.toPrecision(1)));
  return `<line class="grid" x1="${PLOT.left}" y1="${fixed(at)}" x2="${PLOT.right}" y2="${fixed(at)}"/><text x="${PLOT.left - 8}" y="${fixed(at + 4)}" text-anchor="end">${label}</text>`;
}

function drawSeries({ points, isOurs }: Series, colour: string, horizontal: Scale, vertical: Scale): string {
  const places = points.map(({ x, y }) => ({ x: fixed(horizontal(x)), y: fixed(vertical(y)) }));
  const line = `<polyline class="line${isOurs ? " ours" : ""}" stroke="${colour}" points="${places.map(({ x, y }) => `${x},${y}`).join(" ")}"/>`;
  return `${line}${places.map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="${isOurs ? 5 : 3}" fill="${colour}"/>`).join("")}`;
}

/** Names at the right, in the order of the lines' ends, moved apart where they would overlap. */
function labels(series: readonly Series[], vertical: Scale): readonly string[] {
  const wanted = series
    .map(({ name, isOurs, points }, index) => ({ name, isOurs, colour: COLOURS[index % COLOURS.length] ?? COLOURS[0], y: vertical(points.at(-1)?.y ?? 1) }))
    .sort((left, right) => left.y - right.y);
  let lowest = -Infinity;
  const spaced = wanted.map((label) => {
    lowest = Math.max(label.y, lowest + LABEL_GAP);
    return { ...label, at: lowest };
  });
  const overflow = Math.max(0, lowest - PLOT.bottom);
  return spaced.map(({ name, isOurs, colour, at }) => {
    const y = at - overflow;
    return `<circle cx="${PLOT.right + 18}" cy="${fixed(y)}" r="4" fill="${colour}"/><text${isOurs ? ' class="bold"' : ""} x="${PLOT.right + 28}" y="${fixed(y + 4)}">${escapeXml(name)}</text>`;
  });
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
