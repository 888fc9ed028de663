import { describe, expect, it } from "vitest";
import { parseCases, parseReport, resultOf } from "./h2spec-cases.ts";
import { judgeH2spec } from "./judge-h2spec.ts";

const dryRun = `Generic tests for HTTP/2 server
  1. Starting HTTP/2
    1: Sends a client connection preface

Hypertext Transfer Protocol Version 2 (HTTP/2)
  5. Streams and Multiplexing
    5.1. Stream States
      1: idle: Sends a DATA frame
      2: Sends ":path" twice
`;

const report = `<testsuite name="1. Starting HTTP/2" package="generic/1" id="1" tests="1">
  <testcase package="generic/1" classname="Sends a client connection preface" time="0.1"></testcase>
  <testcase package="http2/5.1" classname="idle: Sends a DATA frame" time="0.1">
    <error>GOAWAY</error>
  </testcase>
  <testcase package="http2/5.1" classname="Sends &#34;:path&#34; twice" time="0.1">
    <skipped></skipped>
  </testcase>`;

const cases = parseCases(dryRun);
const [first, second, third] = ["generic/1/1", "http2/5.1/1", "http2/5.1/2"] as const;

describe("the cases of h2spec", () => {
  it("are named by group, section and number", () => {
    expect(cases.map(({ id }) => id)).toEqual([first, second, third]);
    expect(() => parseCases("Generic\n  something else")).toThrow("no case");
  });

  it("have the results of the report", () => {
    const results = parseReport(report);
    expect(cases.map((one) => resultOf(results, one))).toEqual(["passed", "failed", "skipped"]);
    expect(resultOf(results, { id: "http2/5.1/3", title: "another" })).toBe(undefined);
  });
});

describe("the verdict", () => {
  it("is good when just the listed cases fail, with Node's own servers too", () => {
    const results = new Map([
      [first, "passed"],
      [second, "failed"],
      [third, "passed"],
    ] as const);
    const verdict = judgeH2spec({ cases, known: [second], results, bare: new Map([[second, "failed"]]) });
    expect(verdict).toEqual({ passed: 2, knownFailing: 1, total: 3, problems: [] });
  });

  it.each([
    { what: "a case that fails and is not listed", known: [], result: "failed", bare: "failed" },
    { what: "a case that is skipped", known: [], result: "skipped", bare: "skipped" },
    { what: "a case that did not run", known: [], result: undefined, bare: "failed" },
    { what: "a listed case that passes", known: [second], result: "passed", bare: "failed" },
    { what: "a listed case that passes with Node alone", known: [second], result: "failed", bare: "passed" },
    { what: "a listed case that did not run with Node alone", known: [second], result: "failed", bare: undefined },
    { what: "a listed case that there is not", known: ["http2/9/9"], result: "passed", bare: undefined },
  ] as const)("is bad for $what", ({ known, result, bare }) => {
    const outcome = (id: string, value: "passed" | "failed" | "skipped" | undefined) =>
      value === undefined ? [] : [[id, value] as const];
    const { problems } = judgeH2spec({
      cases,
      known,
      results: new Map([[first, "passed"], [third, "passed"], ...outcome(second, result)]),
      bare: new Map(outcome(second, bare)),
    });
    expect(problems).toHaveLength(1);
  });
});
