import { describe, expect, it } from "vitest";
import { hostHeaders, takeHeaders } from "./passed-headers.ts";

describe("the headers of a caller", () => {
  const secrets = [
    ["x-plugin-runtime-id", "api-1"],
    ["authorization", "Bearer secret"],
    ["x-plugin-runtime-token", "secret"],
    ["x-plugin-caller-id", "somebody-else"],
    ["x-plugin-control-token", "secret"],
    ["proxy-authorization", "Basic secret"],
    ["x_plugin_caller_id", "somebody-else"],
    ["x-plugin_caller-id", "somebody-else"],
    ["x_plugin_runtime_token", "secret"],
  ];
  it.each(secrets)("lose %s on the way", (name, value) => {
    expect(takeHeaders(["a", "1", name, value, "b", "2", name, value]).passed).toEqual(["a", "1", "b", "2"]);
  });

  const passing = [
    ["content-type", "application/grpc"],
    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["tracestate", "a=b"],
    ["baggage", "a=b"],
    ["grpc-timeout", "1S"],
    ["connect-timeout-ms", "1000"],
    ["cookie", "a=b"],
    ["x-forwarded-for", "1.2.3.4"],
    ["x-own_header", "1"],
    ["te", "trailers"],
    ["connection", "keep-alive"],
  ];
  it.each(passing)("keep %s", (name, value) => {
    expect(takeHeaders([name, value, name, "twice"]).passed).toEqual([name, value, name, "twice"]);
  });

  it.each([
    { value: "x-plugin-caller-id", passed: "" },
    { value: "close, X-Plugin-Caller-Id,x-own", passed: "close, x-own" },
    { value: "keep-alive, x_plugin_control_token , Via", passed: "keep-alive" },
    { value: "Keep-Alive", passed: "Keep-Alive" },
  ])("cannot take away what the host says: connection: $value", ({ value, passed }) => {
    expect(takeHeaders(["connection", value]).passed).toEqual(["connection", passed]);
  });

  it("hold the credentials, unless they are there twice", () => {
    const { credentials } = takeHeaders(["x-plugin-runtime-id", "api-1", "authorization", "Bearer a"]);
    expect(credentials).toEqual({ "x-plugin-runtime-id": "api-1", authorization: "Bearer a" });
    const twice = ["authorization", "Bearer a"];
    expect(takeHeaders([...twice, ...twice]).credentials).toEqual({ authorization: undefined });
    expect(takeHeaders([...twice, ...twice, ...twice]).credentials).toEqual({ authorization: undefined });
  });
});

describe("what the host says", () => {
  it("is who calls, and on which way", () => {
    const words = { callerId: "api-1", controlToken: undefined, httpVersion: "1.1" };
    expect(hostHeaders(words)).toEqual(["x-plugin-caller-id", "api-1", "via", "1.1 cpg"]);
  });

  it("is proven to a plugin of its own", () => {
    const words = { callerId: "api-1", controlToken: "token", httpVersion: "2.0" };
    expect(hostHeaders(words)).toContain("x-plugin-control-token");
  });
});
