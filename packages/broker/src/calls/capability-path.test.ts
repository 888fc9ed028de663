import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { parseCapabilityPath } from "./capability-path.ts";

describe("parseCapabilityPath", () => {
  it.each([
    { target: "/capabilities/logger/g-1/a.v1.B/C", type: "logger", grantId: "g-1", rest: "/a.v1.B/C" },
    { target: "/capabilities/a.b_c-d/G_1/", type: "a.b_c-d", grantId: "G_1", rest: "/" },
    { target: "/capabilities/kv/g/x/y%20z?q=//..%00", type: "kv", grantId: "g", rest: "/x/y%20z?q=//..%00" },
    { target: "/capabilities/kv/g/a%2Fb/", type: "kv", grantId: "g", rest: "/a%2Fb/" },
    { target: "/capabilities/kv/g/...?", type: "kv", grantId: "g", rest: "/...?" },
  ])("reads $target", ({ target, ...path }) => {
    expect(parseCapabilityPath(target)).toEqual(path);
  });

  it.each([
    ["/capabilities/", "path must be"],
    ["/capabilities/logger", "path must be"],
    ["/capabilities/logger/g", "path must be"],
    ["/capabilities/logger?/g/x", "path must be"],
    ["/capabilities//g/x", "capability type in the path"],
    ["/capabilities/1x/g/x", "capability type in the path"],
    ["/capabilities/a..b/g/x", "capability type in the path"],
    [`/capabilities/${"a".repeat(129)}/g/x`, "capability type in the path"],
    ["/capabilities/logger//x", "grant_id in the path"],
    ["/capabilities/logger/../x", "grant_id in the path"],
    ["/capabilities/logger/g%31/x", "grant_id in the path"],
    [`/capabilities/logger/${"g".repeat(129)}/x`, "grant_id in the path"],
    ["/capabilities/logger/g//host/x", "empty segment"],
    ["/capabilities/logger/g/x//y", "empty segment"],
    ["/capabilities/logger/g/../x", "segment"],
    ["/capabilities/logger/g/x/..", "segment"],
    ["/capabilities/logger/g/.%2E/x", "segment"],
    ["/capabilities/logger/g/x/..;v=1/y", "segment"],
    ["/capabilities/logger/g/..%2Fx", "segment"],
    ["/capabilities/logger/g/x%2f..%2f..%2fy", "segment"],
    ["/capabilities/logger/g/x%5C%2e%2e%5Cy", "segment"],
    ["/capabilities/logger/g/..%3bv=1/y", "segment"],
    ["/capabilities/logger/g/x%", "hexadecimal"],
    ["/capabilities/logger/g/x%zz", "hexadecimal"],
    ["/capabilities/logger/g/x%00", "control character"],
    ["/capabilities/logger/g/x\\y", "printable ASCII"],
    ["/capabilities/logger/g/x#y", "printable ASCII"],
    ["/capabilities/logger/g/x?a#b", "printable ASCII"],
    ["/capabilities/logger/g/é", "printable ASCII"],
  ])("refuses %s", (target, rule) => {
    expect(() => parseCapabilityPath(target)).toThrow(
      expect.objectContaining({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(rule) }),
    );
    expect(() => parseCapabilityPath(target)).toThrow(ConnectError);
  });
});
