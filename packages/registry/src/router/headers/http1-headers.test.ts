import { OutgoingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { addTrailers, http1Head } from "./http1-headers.ts";

describe("a head of HTTP/1.1", () => {
  const length = ["content-length", "5"];
  const announced = ["trailer", "x-last"];
  const rows = [
    { name: "has the length that is known", headers: length, body: "data", head: length, chunked: false },
    { name: "has chunks where none is known", headers: [], body: "data", head: [], chunked: true },
    { name: "has neither without a body", headers: [], body: "none", head: [], chunked: false },
    {
      name: "keeps the length of a body that is not sent",
      headers: length,
      body: "none",
      head: length,
      chunked: false,
    },
    {
      name: "has chunks for announced trailers",
      headers: [...length, ...announced],
      body: "trailed",
      head: announced,
      chunked: true,
    },
    {
      name: "keeps a length where trailers may come unannounced",
      headers: length,
      body: "trailed",
      head: length,
      chunked: false,
    },
    {
      name: "announces no trailers that cannot come",
      headers: [...length, ...announced],
      body: "data",
      head: length,
      chunked: false,
    },
    {
      name: "announces them where there are chunks anyway",
      headers: announced,
      body: "data",
      head: announced,
      chunked: true,
    },
  ] as const;
  it.each(rows)("$name", ({ headers, body, head, chunked }) => {
    expect(http1Head(headers, body)).toEqual({ headers: head, chunked });
  });

  it("has no chunks, and announces nothing, where HTTP/1.0 is spoken", () => {
    expect(http1Head(announced, "trailed", false)).toEqual({ headers: [], chunked: false });
  });

  it("joins the cookies that HTTP/2 has split, where the first one was", () => {
    const headers = ["a", "1", "cookie", "x=1", "b", "2", "cookie", "y=2", "cookie", "z=3"];
    const joined = ["a", "1", "cookie", "x=1; y=2; z=3", "b", "2"];
    expect(http1Head(headers, "none").headers).toEqual(joined);
  });
});

describe("trailers of HTTP/1.1", () => {
  it("are added as pairs, and repeats stay", () => {
    const added: unknown[] = [];
    const message = new OutgoingMessage();
    message.addTrailers = (trailers) => void added.push(trailers);
    addTrailers(message, ["a", "1", "a", "2"]);
    addTrailers(message, []);
    expect(added).toEqual([
      [
        ["a", "1"],
        ["a", "2"],
      ],
    ]);
  });

  it("that cannot be written are lost, and nothing else is", () => {
    expect(() => addTrailers(new OutgoingMessage(), ["a b", "1"])).not.toThrow();
  });
});
