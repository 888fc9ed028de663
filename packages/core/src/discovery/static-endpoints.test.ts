import { describe, expect, it } from "vitest";
import { staticEndpoints } from "./static-endpoints.ts";

describe("staticEndpoints", () => {
  it.each([
    { endpoints: [], says: "endpoints must be a list of 1 to 100 endpoints" },
    { endpoints: Array.from({ length: 101 }, (_, i) => `http://h:${i + 1}`), says: "endpoints must be a list of 1" },
    { endpoints: JSON.parse(`"http://a"`), says: "endpoints must be a list" },
    { endpoints: ["http://a", JSON.parse("5")], says: "endpoints[1] must be a string" },
    { endpoints: ["http://a", "b:1"], says: "endpoints[1] must be http://host:port" },
    { endpoints: ["http://a:80", "http://a/"], says: "endpoints[1] is there twice" },
  ])("refuses $endpoints", ({ endpoints, says }) => {
    expect(() => staticEndpoints(endpoints)).toThrow(says);
  });

  it("tells its list, whatever happens to the array later, and that it is the last word", async () => {
    const list = ["http://a:1", "unix:/run/b.sock"];
    const endpoints = staticEndpoints(list);
    list.pop();
    expect(await endpoints.discover()).toEqual(["http://a:1", "unix:/run/b.sock"]);
    const watch = endpoints.watch()[Symbol.asyncIterator]();
    expect(await watch.next()).toEqual({ done: false, value: ["http://a:1", "unix:/run/b.sock"] });
    expect((await watch.next()).done).toBe(true);
  });

  it("does nothing for one who has given up", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const endpoints = staticEndpoints(["http://a:1"]);
    await expect(endpoints.discover({ signal })).rejects.toBe(reason);
    await expect(endpoints.watch({ signal })[Symbol.asyncIterator]().next()).rejects.toBe(reason);
  });
});
