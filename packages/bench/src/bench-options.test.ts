import { describe, expect, it } from "vitest";
import { parseBenchOptions } from "./bench-options.ts";

const parse = (...args: string[]) => parseBenchOptions(args, ["launch", "hedging"], () => 77);

describe("parseBenchOptions", () => {
  it("runs all tables for nine rounds and prints, with a seed of its own", () => {
    expect(parse()).toEqual({
      tables: ["launch", "hedging"],
      rounds: 9,
      short: false,
      seed: 77,
      json: undefined,
      markdown: undefined,
      write: false,
    });
  });

  it.each([
    { args: ["hedging"], option: { tables: ["hedging"] } },
    { args: ["hedging", "launch", "hedging"], option: { tables: ["hedging", "launch"] } },
    { args: ["--rounds", "15"], option: { rounds: 15 } },
    { args: ["--short"], option: { short: true, rounds: 3 } },
    { args: ["--short", "--rounds", "1"], option: { short: true, rounds: 1 } },
    { args: ["--seed", "0"], option: { seed: 0 } },
    { args: ["--json", "a.json", "launch"], option: { json: "a.json", tables: ["launch"] } },
    { args: ["--markdown", "a.md"], option: { markdown: "a.md" } },
  ])("$args means $option", ({ args, option }) => {
    expect(parse(...args)).toMatchObject(option);
  });

  it.each([
    { args: ["lunch"], message: 'there is no table "lunch"; there are launch, hedging' },
    { args: ["--rounds", "0"], message: '--rounds must be a whole number from 1 to 1000, got "0"' },
    { args: ["--rounds", "1001"], message: "--rounds must be" },
    { args: ["--rounds", "2.5"], message: "--rounds must be" },
    { args: ["--rounds", "1e2"], message: "--rounds must be" },
    { args: ["--seed", "4294967296"], message: "--seed must be a whole number from 0 to 4294967295" },
    { args: ["--json", ""], message: "--json needs the name of a file" },
    { args: ["--markdown="], message: "--markdown needs the name of a file" },
    { args: ["--fast"], message: "--fast" },
    { args: ["--write", "--short"], message: "--write is not for --short" },
  ])("refuses $args", ({ args, message }) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
