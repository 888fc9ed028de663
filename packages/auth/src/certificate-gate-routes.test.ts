import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createOpenRoutes } from "./certificate-gate-routes.ts";

describe("createOpenRoutes", () => {
  const isOpen = createOpenRoutes(["/healthz", "/public/*", "/grpc.health.v1.Health/Check", "/"]);

  it.each([
    "/healthz",
    "/healthz?verbose=1",
    "/healthz?/../admin",
    "/public/",
    "/public/a",
    "/public/a/b.css",
    "/public/a/?x",
    "/grpc.health.v1.Health/Check",
    "/",
  ])("opens %s", (target) => {
    expect(isOpen(target)).toBe(true);
  });

  it.each([
    "",
    "*",
    "/admin",
    "/public",
    "/publicity",
    "/healthz/",
    "/healthz/x",
    "/HEALTHZ",
    "//healthz",
    "/./healthz",
    "/public/../admin",
    "/public/..",
    "/public/./a",
    "/public//a",
    "/public/%2e%2e/admin",
    "/public/..%2fadmin",
    "/public%2f..%2fadmin",
    "/public/%61",
    "/public/..\\admin",
    "/public\\..\\admin",
    "/public/..;/admin",
    "/public/a#/../admin",
    "/public/a\0",
    "/public/é",
    "http://localhost/healthz",
    "healthz",
  ])("does not open %s", (target) => {
    expect(isOpen(target)).toBe(false);
  });

  it.each(["", "healthz", "/a/../b", "/a%2fb", "/a?b", "*", "/*/a", "/a*", "//", "/a//*", "/**"])(
    "refuses the route %s",
    (route) => {
      expect(() => createOpenRoutes([route])).toThrow(TypeError);
    },
  );

  it("opens everything with /* and nothing without routes, of what everybody reads alike", () => {
    expect(createOpenRoutes(["/*"])("/a/b")).toBe(true);
    expect(createOpenRoutes(["/*"])("/a/../b")).toBe(false);
    expect(createOpenRoutes([])("/")).toBe(false);
  });

  it("opens nothing that a URL parser finds elsewhere", () => {
    const only = createOpenRoutes(["/public/*"]);
    const unit = fc.constantFrom("/", ".", "..", "%2e", "%2F", "\\", ";", "a", "public", "?", "#", "//", "\t");
    fc.assert(
      fc.property(fc.string({ unit }), (rest) => {
        const target = `/public/${rest}`;
        const { pathname } = new URL(target, "http://localhost");
        expect(only(target) && !pathname.startsWith("/public/")).toBe(false);
      }),
    );
  });
});
