import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseEndpointList } from "./endpoint-list-schema.ts";

describe("a list of endpoints", () => {
  it.each([
    { text: "[]", list: [] },
    {
      text: ' ["http://a:1",\n "https://b/base", "unix:/run/c.sock"] ',
      list: ["http://a:1", "https://b/base", "unix:/run/c.sock"],
    },
    { text: '["http://a:80", "http://A/", "http://b"]', list: ["http://a:80", "http://b"] },
  ])("$text is $list", ({ text, list }) => {
    expect(parseEndpointList(text)).toEqual(list);
  });

  it.each([
    { text: "", rule: "this is no JSON" },
    { text: '["http://a:1", "http://', rule: "this is no JSON" },
    { text: '{"endpoints": []}', rule: "endpoints: " },
    { text: '["http://a:1", 5]', rule: "endpoints[1]: " },
    { text: '["http://a:1", "a:2"]', rule: "endpoints[1]: endpoint must be http" },
    { text: '["http://user:secret@a"]', rule: "endpoints[0]: endpoint must not contain user or password" },
    { text: `["http://a/${"x".repeat(2_048)}"]`, rule: "endpoints[0]: " },
    { text: JSON.stringify(Array.from({ length: 101 }, (_, i) => `http://a:${i + 1}`)), rule: "endpoints: " },
  ])("$text is refused: $rule", ({ text, rule }) => {
    expect(() => parseEndpointList(text)).toThrow(expect.objectContaining({ code: Code.InvalidArgument }));
    expect(() => parseEndpointList(text)).toThrow(rule);
    expect(() => parseEndpointList(text)).not.toThrow("secret");
  });

  it("is read or refused, whatever the text is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        let code: Code | undefined;
        try {
          parseEndpointList(text);
        } catch (reason) {
          code = (reason as { code: Code }).code;
        }
        expect([undefined, Code.InvalidArgument]).toContain(code);
      }),
    );
  });
});
