import { describe, expect, it } from "vitest";
import { type HealthOptions, resolveHealthOptions } from "./health-options.ts";

describe("health options", () => {
  it("has defaults by which a silent provider is hidden within 5 s", () => {
    const { intervalMs, timeoutMs, graceMs, liveness } = resolveHealthOptions();
    // It falls silent just after a probe; each interval is as long as it may be, the last probe runs into its time-out.
    expect(1.1 * intervalMs * liveness.misses + timeoutMs).toBeLessThanOrEqual(5_000);
    expect(graceMs + 0.1 * intervalMs + 1.1 * intervalMs * (liveness.misses - 1) + timeoutMs).toBeLessThanOrEqual(
      5_000,
    );
  });

  it("takes an explicit undefined as the default", () => {
    expect(resolveHealthOptions({ intervalMs: undefined, ejection: undefined, massSilence: undefined })).toEqual(
      resolveHealthOptions(),
    );
  });

  it("widens windows and bounds whose counterpart is larger than they are by default", () => {
    expect(resolveHealthOptions({ misses: 8 }).liveness).toEqual({ misses: 8, window: 8 });
    expect(resolveHealthOptions({ ejection: { baseMs: 400_000 } }).ejection).toMatchObject({ maxMs: 400_000 });
  });

  it("has no ejection when told so", () => {
    expect(resolveHealthOptions({ ejection: false }).ejection).toBeUndefined();
  });

  it.each<[string, HealthOptions]>([
    ["health.intervalMs", { intervalMs: 9 }],
    ["health.intervalMs", { intervalMs: Number.NaN }],
    ["health.timeoutMs", { timeoutMs: 0 }],
    ["health.graceMs", { graceMs: -1 }],
    ["health.graceMs", { graceMs: Number.POSITIVE_INFINITY }],
    ["health.misses", { misses: 0 }],
    ["health.misses", { misses: 1.5 }],
    ["health.window", { misses: 3, window: 2 }],
    ["health.maxProbes", { maxProbes: 0 }],
    ["health.massSilence.minProviders", { massSilence: { minProviders: 0 } }],
    ["health.massSilence.maxShare", { massSilence: { maxShare: 0 } }],
    ["health.massSilence.maxShare", { massSilence: { maxShare: 1.1 } }],
    ["health.ejection.failures", { ejection: { failures: 0 } }],
    ["health.ejection.baseMs", { ejection: { baseMs: 0 } }],
    ["health.ejection.maxMs", { ejection: { baseMs: 100, maxMs: 99 } }],
    ["health.ejection.maxShare", { ejection: { maxShare: 1.1 } }],
    ["health.ejection.maxShare", { ejection: { maxShare: -0.1 } }],
  ])("checks %s in %j", (name, options) => {
    expect(() => resolveHealthOptions(options)).toThrow(new RegExp(`^${name} must be`));
  });
});
