import { describe, expect, it } from "vitest";
import { type ListenerLimitOptions, resolveListenerLimits } from "./listener-limits.ts";

describe("resolveListenerLimits", () => {
  it("fills in defaults, also for what is given as undefined", () => {
    const defaults = {
      maxConnections: 4096,
      headerTimeoutMs: 10_000,
      requestTimeoutMs: 0,
      idleTimeoutMs: 360_000,
      maxHeaderBytes: 16_384,
      maxConcurrentStreams: 1000,
      maxRequestsPerConnection: 0,
      maxConnectionAgeMs: 0,
    };
    expect(resolveListenerLimits()).toEqual(defaults);
    expect(resolveListenerLimits({ maxConnections: undefined })).toEqual(defaults);
    expect(resolveListenerLimits({ requestTimeoutMs: 10_000 })).toMatchObject({ requestTimeoutMs: 10_000 });
  });

  it.each<[keyof ListenerLimitOptions, number]>([
    ["maxConnections", 0],
    ["maxConnections", 1.5],
    ["maxConcurrentStreams", 0],
    ["maxHeaderBytes", 1_023],
    ["maxHeaderBytes", 2 ** 20 + 1],
    ["headerTimeoutMs", 0],
    ["headerTimeoutMs", Number.NaN],
    ["idleTimeoutMs", Number.POSITIVE_INFINITY],
    ["requestTimeoutMs", 9_999],
    ["requestTimeoutMs", -1],
    ["maxRequestsPerConnection", -1],
    ["maxConnectionAgeMs", 2_000_000_000],
  ])("refuses %s of %d, naming it", (name, value) => {
    expect(() => resolveListenerLimits({ [name]: value })).toThrow(RangeError);
    expect(() => resolveListenerLimits({ [name]: value })).toThrow(`limits.${name} must be`);
  });
});
