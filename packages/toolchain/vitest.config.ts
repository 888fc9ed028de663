import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// How every package runs its tests. The give-up times are for hangs: no test may depend on how quick the machine is.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^fast-check$/, replacement: fileURLToPath(new URL("./src/seeded-fast-check.ts", import.meta.url)) },
    ],
  },
  test: {
    // Vitest leaves one core free. Of two that is half of the machine, and much of a test is waiting for a process.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000, interval: 10 } },
    env: { FC_SEED: process.env.FC_SEED ?? String(seedOfCommit()) },
    reporters: ["default", "json"],
    outputFile: { json: ".vitest/report.json" },
  },
});

/** Each commit looks for counterexamples elsewhere, and every run of a commit at the same places. */
function seedOfCommit(): number {
  try {
    const tree = execFileSync("git", ["rev-parse", "HEAD^{tree}"], { encoding: "utf8", stdio: "pipe" });
    return Number.parseInt(tree.slice(0, 8), 16) | 0;
  } catch {
    return 1; // sources without a history
  }
}
