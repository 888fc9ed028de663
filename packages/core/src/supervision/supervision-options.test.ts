import { describe, expect, it } from "vitest";
import { definePlugin } from "../definition/plugin-definition.ts";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { supervisePlugin } from "./supervise-plugin.ts";
import { resolveSupervisionOptions, type SupervisePluginOptions } from "./supervision-options.ts";

const plugins = { logger: definePlugin({ name: "logger", version: "1.0.0", service: Logger }) };
const required = { strategy: { kind: "fake", launch: () => Promise.reject(new Error("not to be launched")) }, plugins };
type Options = Partial<SupervisePluginOptions<typeof plugins>>;

describe("options of supervisePlugin", () => {
  it("have defaults", () => {
    expect(resolveSupervisionOptions(required)).toMatchObject({
      rules: {
        backoff: { initialMs: 500, maxMs: 30_000, factor: 2, jitter: "equal" },
        maxRestarts: 5,
        windowMs: 300_000,
        stableMs: 60_000,
        failures: 3,
      },
      probe: { intervalMs: 5_000, timeoutMs: 5_000 },
      wait: false,
      maxWaiting: 1_000,
      maxWaitMs: 10_000,
    });
  });

  it("are all taken", () => {
    const backoff = { initialMs: 1, maxMs: 2, factor: 3, jitter: "none" } as const;
    const options = {
      restart: { backoff, maxRestarts: 4, windowMs: 5, stableMs: 6 },
      probe: { intervalMs: 7, timeoutMs: 8, failures: 9 },
      onCallsWhileDown: "wait",
      maxWaiting: 10,
      maxWaitMs: 11,
    } as const;
    expect(resolveSupervisionOptions({ ...required, ...options })).toMatchObject({
      rules: { backoff, maxRestarts: 4, windowMs: 5, stableMs: 6, failures: 9 },
      probe: { intervalMs: 7, timeoutMs: 8 },
      wait: true,
      maxWaiting: 10,
      maxWaitMs: 11,
    });
    expect(resolveSupervisionOptions({ ...required, probe: false }).probe).toBeUndefined();
  });

  it.each([
    { option: "restart.maxRestarts", options: { restart: { maxRestarts: -1 } } },
    { option: "restart.maxRestarts", options: { restart: { maxRestarts: 0.5 } } },
    { option: "restart.windowMs", options: { restart: { windowMs: 0 } } },
    { option: "restart.windowMs", options: { restart: { windowMs: Number.POSITIVE_INFINITY } } },
    { option: "restart.stableMs", options: { restart: { stableMs: Number.NaN } } },
    { option: "initialMs", options: { restart: { backoff: { initialMs: 0 } } } },
    { option: "probe.intervalMs", options: { probe: { intervalMs: 0 } } },
    { option: "probe.timeoutMs", options: { probe: { timeoutMs: -1 } } },
    { option: "probe.failures", options: { probe: { failures: 0 } } },
    { option: "maxWaiting", options: { maxWaiting: 0 } },
    { option: "maxWaitMs", options: { maxWaitMs: Number.NaN } },
    { option: "onCallsWhileDown", options: { onCallsWhileDown: "hope" } },
  ] as { option: string; options: Options }[])("are refused by name: $option in $options", ({ option, options }) => {
    expect(() => supervisePlugin({ ...required, ...options })).toThrow(option);
  });
});
