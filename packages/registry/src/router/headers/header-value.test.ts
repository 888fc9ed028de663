import { expect, it } from "vitest";
import { headerObject } from "./header-object.ts";
import { headerValue, withLowerNames, withoutHeader } from "./header-value.ts";

it("a header's value is that of its name, never of a value that looks like it", () => {
  expect(headerValue(["a", "b", "b", "1"], "b")).toBe("1");
  expect(headerValue(["a", "b"], "b")).toBeUndefined();
});

it("names become lower case, values stay", () => {
  expect(withLowerNames(["X-A", "Value", "B", "C"])).toEqual(["x-a", "Value", "b", "C"]);
});

it("a header is left out wherever it is, with its values and no others", () => {
  expect(withoutHeader(["a", "1", "b", "a", "a", "2"], "a")).toEqual(["b", "a"]);
  const headers = ["b", "a"];
  expect(withoutHeader(headers, "a")).toBe(headers);
});

it("repeated headers become lists, and no name is special to an object", () => {
  const object = headerObject(["a", "1", "__proto__", "2", "a", "3", "constructor", "4"]);
  expect(Object.entries(object)).toEqual([
    ["a", ["1", "3"]],
    ["__proto__", "2"],
    ["constructor", "4"],
  ]);
});
