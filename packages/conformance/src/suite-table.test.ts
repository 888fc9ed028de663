import { describe, expect, it } from "vitest";
import { readmeTable } from "./readme-table.ts";
import { renderTable } from "./suite-table.ts";

const row = { suite: "a suite", side: "server", over: "HTTP/2", passed: 1, total: 2, knownFailing: 1, ok: true };

describe("the table", () => {
  it("has a line for each row, and columns of one width", () => {
    expect(renderTable([row, { ...row, passed: 0, knownFailing: 0, ok: false }]).split("\n")).toEqual([
      "| suite   | of ours | over   | passed | listed as failing | result |",
      "|---------|---------|--------|--------|-------------------|--------|",
      "| a suite | server  | HTTP/2 | 1 of 2 | 1                 | ok     |",
      "| a suite | server  | HTTP/2 | 0 of 2 | 0                 | FAILED |",
    ]);
  });

  it("is found in the README, where nothing has failed", () => {
    const [headings, ...lines] = readmeTable().split("\n");
    expect(headings).toMatch(/^\| suite .*\| result \|$/);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.slice(1).filter((line) => !line.endsWith("| ok     |"))).toEqual([]);
  });
});
