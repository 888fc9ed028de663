import { defineConfig } from "vitest/config";

// How every package runs its tests. The give-up times are for hangs: no test may depend on how quick the machine is.
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000, interval: 10 } },
    reporters: ["default", "json"],
    outputFile: { json: ".vitest/report.json" },
  },
});
