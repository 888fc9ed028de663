import { describe, expect, it } from "vitest";
import { createRouteTable, type HttpRoute } from "./http-route.ts";

const route = (path: string, prefix = false): HttpRoute => ({ path, prefix, handle: () => {} });

describe("createRouteTable", () => {
  const find = createRouteTable([route("/healthz"), route("/a/", true), route("/a/b/", true), route("/a/b/c")]);
  it.each([
    { path: "/healthz", found: "/healthz" },
    { path: "/healthz/", found: undefined },
    { path: "/a/", found: "/a/" },
    { path: "/a/x", found: "/a/" },
    { path: "/a/b/x", found: "/a/b/" },
    { path: "/a/b/c", found: "/a/b/c" },
    { path: "/a", found: undefined },
  ])("$path is served by $found", ({ path, found }) => {
    expect(find(path)?.path).toBe(found);
  });

  it.each([
    { why: "two exact routes", routes: [route("/x"), route("/x")] },
    { why: "two prefixes", routes: [route("/x/", true), route("/x/", true)] },
    { why: "a prefix without its slash", routes: [route("/x", true)] },
    { why: "a relative path", routes: [route("x")] },
  ])("refuses $why", ({ routes }) => {
    expect(() => createRouteTable(routes)).toThrow(TypeError);
  });
});
