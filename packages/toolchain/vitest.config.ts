import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// How every package runs its tests. The give-up times are for hangs: no test may depend on how quick the machine is.
export default defineConfig({
  test: {
    // Vitest leaves one core free. Of two that is half of the machine, and much of a test is waiting for a process.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000, interval: 10 } },
    reporters: ["default", "json"],
    outputFile: { json: ".vitest/report.json" },
  },
});
