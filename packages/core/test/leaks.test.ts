import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { Holdings } from "./leaks/holdings.ts";

const run = promisify(execFile);
const MiB = 1024 * 1024;

describe.each([
  { what: "500 cycles of serve, connect, dispense, call, close", program: "connect-cycles.ts" },
  { what: "50 cycles of launch and stop", program: "launch-cycles.ts" },
])("after $what", ({ program }) => {
  it("the process holds no more than after 10", { timeout: 300_000 }, async () => {
    const file = fileURLToPath(new URL(`./leaks/${program}`, import.meta.url));
    const { stdout } = await run(process.execPath, ["--expose-gc", file], { timeout: 280_000 });
    const { early, late }: { early: Holdings; late: Holdings } = JSON.parse(stdout);
    expect(late.descriptors).toBeLessThanOrEqual(early.descriptors);
    expect(late.resources).toBeLessThanOrEqual(early.resources);
    expect(late.listeners).toBeLessThanOrEqual(early.listeners);
    expect(late.heapBytes - early.heapBytes).toBeLessThanOrEqual(4 * MiB);
  });
});
