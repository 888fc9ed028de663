import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const run = promisify(execFile);
const MiB = 1024 * 1024;

interface Holdings {
  readonly heapBytes: number;
  readonly descriptors: number;
  readonly resources: number;
}

interface Outcome {
  readonly calls: number;
  /** By status and body. */
  readonly failures: Readonly<Record<string, number>>;
  /** By how they ended. */
  readonly streamEnds: Readonly<Record<string, number>>;
  /** Calls that began after their provider was removed. */
  readonly lateCalls: number;
  readonly callsPerSecond: number;
  readonly slowestSwitchMs: number;
  readonly before: Holdings;
  readonly after: Holdings;
}

it("50 replacements under load lose no call, end streams as configured, and leave nothing behind", async () => {
  const program = fileURLToPath(new URL("./load/replace-under-load.ts", import.meta.url));
  const flags = ["--expose-gc", "--disable-warning=ExperimentalWarning"];
  const { stdout } = await run(process.execPath, [...flags, program, "50", "20000"], { timeout: 280_000 });
  const outcome: Outcome = JSON.parse(stdout);
  const { calls, failures, streamEnds, lateCalls, before, after } = outcome;
  console.log(`${calls} calls, ${outcome.callsPerSecond} per second, slowest switch ${outcome.slowestSwitchMs} ms`);
  expect(calls).toBeGreaterThanOrEqual(20_000);
  expect(failures).toEqual({});
  expect(Object.keys(streamEnds)).toEqual(["Unavailable"]);
  expect(lateCalls).toBe(0);
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
  expect(after.resources).toBeLessThanOrEqual(before.resources);
  expect(after.heapBytes - before.heapBytes).toBeLessThanOrEqual(4 * MiB);
}, 300_000);
