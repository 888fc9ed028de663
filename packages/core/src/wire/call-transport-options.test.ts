import { describe, expect, it } from "vitest";
import type { CallTransportOptions } from "./call-transport.ts";
import { resolveCallTransportOptions } from "./call-transport-options.ts";
import { parseEndpoint } from "./endpoint.ts";

const near: CallTransportOptions = { endpoint: parseEndpoint("http://localhost:1"), httpVersion: "2" };

describe("resolveCallTransportOptions", () => {
  it("has the defaults that the options promise, also for undefined", () => {
    expect(resolveCallTransportOptions({ ...near, callTimeoutMs: undefined, protocol: undefined })).toMatchObject({
      protocol: "connect",
      json: false,
      connectTimeoutMs: 10_000,
      callTimeoutMs: 60_000,
      pingIntervalMs: 20_000,
      pingTimeoutMs: 15_000,
      idleTimeoutMs: 300_000,
      maxSockets: 256,
      maxMessageBytes: 4 * 1024 * 1024,
      compressMinBytes: 1024,
      httpGet: false,
    });
  });

  it.each([
    ["http://127.0.0.1:1", undefined, false],
    ["unix:/tmp/x", undefined, false],
    ["http://10.0.0.1", undefined, true],
    ["http://127.0.0.1:1", true, true],
    ["http://10.0.0.1", false, false],
  ])("%s with compression %s: %s", (text, compression, expected) => {
    const options = { ...near, endpoint: parseEndpoint(text), compression };
    expect(resolveCallTransportOptions(options).compression).toBe(expected);
  });

  it.each([
    "connectTimeoutMs",
    "callTimeoutMs",
    "pingIntervalMs",
    "pingTimeoutMs",
    "idleTimeoutMs",
    "maxSockets",
    "maxMessageBytes",
    "compressMinBytes",
  ])("refuses an %s out of range, naming it", (name) => {
    for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => resolveCallTransportOptions({ ...near, [name]: value })).toThrow(RangeError);
      expect(() => resolveCallTransportOptions({ ...near, [name]: value })).toThrow(name);
    }
  });

  it.each([
    ["httpVersion", { httpVersion: "3" }],
    ["protocol", { protocol: "soap" }],
    ["sendCompression", { sendCompression: "zip" }],
    ["tls", { tls: {} }],
  ])("refuses a wrong %s", (name, wrong) => {
    expect(() => resolveCallTransportOptions({ ...near, ...wrong } as CallTransportOptions)).toThrow(TypeError);
    expect(() => resolveCallTransportOptions({ ...near, ...wrong } as CallTransportOptions)).toThrow(name);
  });
});
