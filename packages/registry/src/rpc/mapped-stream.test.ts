import { describe, expect, it } from "vitest";
import { mappedStream } from "./mapped-stream.ts";

function sourceOf(results: (number | Error)[]) {
  const returned: string[] = [];
  const source: AsyncIterableIterator<number, undefined, void> = {
    [Symbol.asyncIterator]: () => source,
    async next() {
      const result = results.shift();
      if (result instanceof Error) throw result;
      return result === undefined ? { done: true, value: undefined } : { done: false, value: result };
    },
    async return() {
      returned.push("returned");
      return { done: true, value: undefined };
    },
  };
  return { source, returned };
}

describe("a mapped stream", () => {
  it("maps each value, ends and fails as its source does", async () => {
    const stream = mappedStream(sourceOf([1, 2]).source, (value) => `${value}`);
    const values: string[] = [];
    for await (const value of stream) values.push(value);
    expect(values).toEqual(["1", "2"]);
    const failing = mappedStream(sourceOf([new Error("broken")]).source, String);
    await expect(failing.next()).rejects.toThrow("broken");
  });

  it("tells its source when its reader leaves", async () => {
    const { source, returned } = sourceOf([1, 2]);
    for await (const _ of mappedStream(source, String)) break;
    expect(returned).toEqual(["returned"]);
  });
});
