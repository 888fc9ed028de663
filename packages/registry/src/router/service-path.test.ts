import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { parseServicePath } from "./service-path.ts";

describe("the target of a routed call", () => {
  it.each([
    { target: "/services/kv/kv-1/Get", path: { type: "kv", providerId: "kv-1", rest: "Get", query: "" } },
    { target: "/services/kv/-/Get", path: { type: "kv", providerId: undefined, rest: "Get", query: "" } },
    { target: "/services/kv/-/", path: { type: "kv", providerId: undefined, rest: "", query: "" } },
    { target: "/services/a.b_c/-/x/y/?q", path: { type: "a.b_c", providerId: undefined, rest: "x/y/", query: "?q" } },
    {
      target: "/services/kv/-/a?path=../..%2f%00//connectplugin.v1&b=?",
      path: { type: "kv", providerId: undefined, rest: "a", query: "?path=../..%2f%00//connectplugin.v1&b=?" },
    },
  ])("is read as it is spelled: $target", ({ target, path }) => {
    expect(parseServicePath(target)).toEqual(path);
  });

  const longest = "a".repeat(128);
  it.each([
    "/services/",
    "/services/kv",
    "/services/kv/",
    "/services/kv/kv-1",
    "/services/kv?/kv-1/Get",
    "/services//kv-1/Get",
    "/services/kv//Get",
    "/services/../-/Get",
    "/services/kv/../Get",
    "/services/k%76/-/Get",
    "/services/kv/%2d/Get",
    "/services/kv/--/Get",
    "/services/k..v/-/Get",
    "/services/1kv/-/Get",
    "/services/kv/-//Get",
    "/services/kv/-/a/../b",
    "/services/kv/-/a#b",
    "/services/kv/-/a?b#c",
    "/services/kv/-/a?b c",
    "/services/kv/-/a?b\u0000",
    "/services/kv\u0000/-/a",
    `/services/${longest}a/-/Get`,
    `/services/kv/${longest}${longest}a/Get`,
  ])("is refused when malformed: %j", (target) => {
    let refusal: unknown;
    try {
      parseServicePath(target);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(ConnectError);
    expect(ConnectError.from(refusal).code).toBe(Code.InvalidArgument);
  });

  it("may have a type and a provider of the greatest length", () => {
    expect(parseServicePath(`/services/${longest}/${longest}${longest}/x`).type).toBe(longest);
  });
});
