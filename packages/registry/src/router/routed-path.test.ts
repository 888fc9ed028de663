import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkRoutedPath, comparablePath } from "./routed-path.ts";

function codeOf(path: string): Code | undefined {
  try {
    checkRoutedPath("path", path);
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

describe("a path that is routed", () => {
  const passes = [
    "",
    "Get",
    "acme.kv.v1.KV/Get",
    "a/b/",
    "a/...",
    "a/.hidden",
    "a..b",
    "r/%E2%9C%93",
    "100%25",
    "a%20b",
    "a;v=1",
    "a:b@c,d!$&'()*+=~",
    "my.connectplugin.v1",
    "connectplugin",
    "%63onnect",
    "%2525",
  ];
  it.each(passes)("passes: %j", (path) => expect(codeOf(path)).toBeUndefined());

  const malformed = [
    "..",
    ".",
    "a/..",
    "a/../b",
    "a/./b",
    "../b",
    "..;/b",
    "a/..;x=1/b",
    "%2e%2e/b",
    "%2E./b",
    ".%2e/b",
    "%252e%252e/b",
    "%25252e",
    "%25%32%65",
    "a%2fb",
    "a%2Fb",
    "a%252Fb",
    "a%5cb",
    "a\\b",
    "/a",
    "a//b",
    "a//",
    "a%00",
    "a%2500",
    "a%0d%0ab",
    "a%7f",
    "a\u0000b",
    "a\u0007",
    "a b",
    "a#b",
    "a?b",
    "é",
    "%",
    "%4",
    "%zz",
    "%u002e",
    "%c0%ae",
    "%c0%af",
    "%ff",
    "%2525252541",
  ];
  it.each(malformed)("is refused as malformed: %j", (path) => expect(codeOf(path)).toBe(Code.InvalidArgument));

  const protectedPaths = [
    "connectplugin.v1.PluginControl/Shutdown",
    "connectplugin.",
    "ConnectPlugin.v1.PluginControl/Shutdown",
    "%63onnectplugin.v1.PluginControl/Shutdown",
    "connectplugi%6e.v1.PluginControl/Shutdown",
    "%2563onnectplugin.v1.X/Y",
    "%25%36%33onnectplugin.v1.X/Y",
    "broker/connectplugin.v1.CapabilityBroker/RequestCapability",
    "a/%43ONNECTPLUGIN.v1",
  ];
  it.each(protectedPaths)("does not reach a provider's control: %j", (path) => {
    expect(codeOf(path)).toBe(Code.PermissionDenied);
  });

  it("names the field and the rule", () => {
    expect(() => checkRoutedPath("rest", "a//b")).toThrow("rest must not have an empty segment");
  });

  it("never, decoded however often, climbs or names the control, if it passes", () => {
    const piece = fc.constantFrom(
      "..",
      ".",
      "/",
      "%",
      "25",
      "2e",
      "2f",
      "63",
      "%63",
      "connectplugin",
      "onnectplugin.",
      "a",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const path = pieces.join("");
        fc.pre(codeOf(path) === undefined);
        let text = path;
        for (let round = 0; round < 6; round++) {
          expect(text.split("/").some((segment) => segment === ".." || segment === ".")).toBe(false);
          expect(text.split("/").some((segment) => segment.toLowerCase().startsWith("connectplugin."))).toBe(false);
          expect(text.split("/")).toHaveLength(path.split("/").length);
          text = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("the path that policies see", () => {
  it.each([
    { path: "/acme.KV/Get", seen: "/acme.KV/Get" },
    { path: "/acme.KV/%47et", seen: "/acme.KV/Get" },
    { path: "/a%7Eb%2Dc%5f%30%7A%5A%41", seen: "/a~b-c_0zZA" },
    { path: "/r/%E2%9C%93%20%40%5b%60%7b", seen: "/r/%E2%9C%93%20%40%5b%60%7b" },
  ])("has no escapes that it does not need: $path", ({ path, seen }) => {
    expect(comparablePath(path)).toBe(seen);
  });
});
