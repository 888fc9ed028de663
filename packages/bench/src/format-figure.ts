import type { Summary } from "./statistics.ts";
import type { Unit } from "./table.ts";

/** Three significant digits in the unit that reads best, such as "4.51 µs". */
export function formatFigure(value: number, unit: Unit): string {
  if (unit === "count") return digits(value);
  const ns = unit === "ms" ? value * 1e6 : value;
  const size = Math.abs(ns);
  if (size < 999.5) return `${digits(ns)} ns`;
  if (size < 999.5e3) return `${digits(ns / 1e3)} µs`;
  if (size < 999.5e6) return `${digits(ns / 1e6)} ms`;
  return `${digits(ns / 1e9)} s`;
}

/** The median and, in brackets, the lowest and the highest of the rounds, such as "6.5x [5.9..8.1]". */
export function formatRatio(ratio: Summary | undefined): string {
  if (ratio === undefined) return "–";
  return `${digits(ratio.median)}x [${digits(ratio.min)}..${digits(ratio.max)}]`;
}

/** Three significant digits, but never fewer than stand before the point. */
export function digits(value: number): string {
  if (value === 0) return "0";
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  // Rounding may add a digit: 9.996 is 10.0, and so is it after a second look.
  const rounded = Number(value.toFixed(Math.min(places, 20)));
  const size = rounded === 0 ? 0 : Math.floor(Math.log10(Math.abs(rounded)));
  return rounded.toLocaleString("en-US", {
    minimumFractionDigits: Math.min(Math.max(0, 2 - size), places, 20),
    maximumFractionDigits: 20,
  });
}
