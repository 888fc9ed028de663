import { formatFigure } from "./format-figure.ts";
import type { MeasureResult, Row, TableResult } from "./table-result.ts";

/** A group of bars: one measure of one table. */
export interface Panel {
  readonly table: string;
  readonly measure: string;
  readonly title: string;
}

const width = 860;
const labelWidth = 330;
const valueWidth = 150;
const barHeight = 14;
const rowHeight = 20;
const titleHeight = 34;
const headHeight = 30;
const barSpace = width - labelWidth - valueWidth;

/**
 * Bars of medians, one panel for each measure, as SVG: the same report, the same text. Bars of a panel are on one logarithmic
 * scale, since its rows lie decades apart; what is measured of ours is filled, what it is compared with is not. Readable on
 * light and dark backgrounds.
 */
export function chartAsSvg(tables: readonly TableResult[], panels: readonly Panel[]): string {
  const parts: string[] = [];
  let top = headHeight;
  for (const panel of panels) {
    const measure = find(tables, panel);
    if (measure === undefined) continue;
    parts.push(panelAsSvg(panel.title, measure, top));
    top += titleHeight + measure.rows.length * rowHeight;
  }
  const height = top + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Medians of the bench as bars" font-family="system-ui, sans-serif" font-size="12">`,
    "<style>text{fill:#57606a}.title{font-weight:600;font-size:13px}.bar{fill:#2f81f7}.other{fill:none;stroke:#8c959f}@media (prefers-color-scheme:dark){text{fill:#adbac7}}</style>",
    `<text x="8" y="18">Medians, logarithmic scales: shorter is better. Filled: this repository.</text>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function find(tables: readonly TableResult[], { table, measure }: Panel): MeasureResult | undefined {
  return tables.find(({ name }) => name === table)?.measures.find(({ name }) => name === measure);
}

function panelAsSvg(title: string, measure: MeasureResult, top: number): string {
  const medians = measure.rows.map(({ figure }) => figure.median).filter((median) => median > 0);
  const least = Math.min(...medians) / 2;
  const most = Math.max(...medians);
  const lengthOf = (median: number): number =>
    median <= 0 ? 0 : Math.max(1, (barSpace * Math.log(median / least)) / Math.log(most / least));
  const rows = measure.rows.map((row, index) =>
    rowAsSvg(row, measure, lengthOf(row.figure.median), top + titleHeight + index * rowHeight),
  );
  return [`<text class="title" x="8" y="${top + 22}">${escaped(title)}</text>`, ...rows].join("\n");
}

function rowAsSvg({ variant, figure, ratio }: Row, { unit }: MeasureResult, length: number, y: number): string {
  const name = escaped(variant);
  const kind = isOurs(variant) ? "bar" : "bar other";
  const times = ratio === undefined ? "" : ` (${ratio.median.toPrecision(3)}x)`;
  const value = escaped(`${formatFigure(figure.median, unit)}${times}`);
  return [
    `<text x="${labelWidth - 8}" y="${y + 11}" text-anchor="end">${name}</text>`,
    `<rect class="${kind}" x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}"/>`,
    `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${y + 11}">${value}</text>`,
  ].join("");
}

const others =
  /^(?:direct|a direct|serialisation|createRouterTransport|Moleculer|connect-node|@grpc|nginx|haproxy|bare|socket pipe|cockatiel|opossum|idle connection)/i;

/** Whether a row is of this repository, by the name of its variant. */
export function isOurs(variant: string): boolean {
  return !others.test(variant);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
