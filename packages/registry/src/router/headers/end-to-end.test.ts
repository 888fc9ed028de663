import { describe, expect, it } from "vitest";
import { endToEndHeaders, endToEndRequestHeaders, endToEndTrailers, takesTrailers } from "./end-to-end.ts";

describe("end-to-end headers", () => {
  const rows = [
    { name: "nothing", headers: [], passed: [] },
    {
      name: "values, order and repeats",
      headers: ["b", "2", "a", "1", "b", "3"],
      passed: ["b", "2", "a", "1", "b", "3"],
    },
    {
      name: "nothing about the connection",
      headers: ["connection", "close", "keep-alive", "timeout=5", "proxy-connection", "x", "a", "1"].concat([
        "transfer-encoding",
        "chunked",
        "te",
        "trailers",
        "upgrade",
        "h2c",
        "http2-settings",
        "AAA",
      ]),
      passed: ["a", "1"],
    },
    {
      name: "nothing that connection names, in whatever case",
      headers: ["x-hop", "1", "connection", "X-Hop , close,, X-Other", "x-other", "2", "x-end", "3"],
      passed: ["x-end", "3"],
    },
    {
      name: "nothing that one of several connection headers names",
      headers: ["connection", "a", "connection", "b", "b", "1"],
      passed: [],
    },
    { name: "no pseudo headers", headers: [":status", "200", "a", "1"], passed: ["a", "1"] },
    { name: "what announces trailers", headers: ["trailer", "x-last"], passed: ["trailer", "x-last"] },
  ];
  it.each(rows)("have $name", ({ headers, passed }) => {
    expect(endToEndHeaders(headers)).toEqual(passed);
    expect(endToEndRequestHeaders(headers)).toEqual(passed);
  });

  it("of requests have no host, those of answers may", () => {
    expect(endToEndRequestHeaders(["host", "a", "x", "1"])).toEqual(["x", "1"]);
    expect(endToEndHeaders(["host", "a"])).toEqual(["host", "a"]);
  });

  it("leave the list as it is", () => {
    const headers = Object.freeze(["connection", "a", "a", "1"]);
    expect(endToEndHeaders(headers)).not.toBe(headers);
  });

  it("among trailers have nothing that frames or routes a message", () => {
    const trailers = [
      "content-length",
      "5",
      "transfer-encoding",
      "chunked",
      "host",
      "a",
      "trailer",
      "b",
      "x-last",
      "1",
    ];
    expect(endToEndTrailers(trailers)).toEqual(["x-last", "1"]);
  });

  it.each([
    { te: "trailers", takes: true },
    { te: "gzip;q=0.5, Trailers", takes: true },
    { te: "gzip", takes: false },
    { te: "x-trailers", takes: false },
    { te: undefined, takes: false },
  ])("say whether the sender takes trailers: $te", ({ te, takes }) => {
    expect(takesTrailers(te === undefined ? [] : ["a", "1", "te", te])).toBe(takes);
  });
});
