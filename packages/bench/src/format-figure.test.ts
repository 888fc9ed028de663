import { describe, expect, it } from "vitest";
import { digits, formatFigure, formatRatio } from "./format-figure.ts";

describe("digits", () => {
  it.each([
    [0, "0"],
    [0.00123456, "0.00123"],
    [0.5, "0.500"],
    [0.9996, "1.00"],
    [1, "1.00"],
    [9.996, "10.0"],
    [64.44, "64.4"],
    [99.96, "100"],
    [123.4, "123"],
    [1234.5, "1,235"],
    [1_926_000, "1,926,000"],
    [-3.1234, "-3.12"],
  ])("%d is %s", (value, text) => {
    expect(digits(value)).toBe(text);
  });
});

describe("formatFigure", () => {
  it.each([
    [92, "ns", "92.0 ns"],
    [999.6, "ns", "1.00 µs"],
    [4_512, "ns", "4.51 µs"],
    [187_291, "ns", "187 µs"],
    [999_600, "ns", "1.00 ms"],
    [32_000_000, "ns", "32.0 ms"],
    [2.5e9, "ns", "2.50 s"],
    [-120, "ns", "-120 ns"],
    [20, "ms", "20.0 ms"],
    [1.042, "count", "1.04"],
  ] as const)("%d %s is %s", (value, unit, text) => {
    expect(formatFigure(value, unit)).toBe(text);
  });
});

describe("formatRatio", () => {
  it("gives the spread with the median", () => {
    expect(formatRatio({ median: 6.5, min: 5.91, max: 8.13 })).toBe("6.50x [5.91..8.13]");
  });

  it("has a dash for what there is not", () => {
    expect(formatRatio(undefined)).toBe("–");
  });
});
