import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { LogRecord } from "../src/launch/launch-strategy.ts";
import { createLogBuffer } from "../src/launch/log-buffer.ts";
import { get, launchFixture } from "./fixtures/launch-fixture.ts";

const mebibyte = 1024 * 1024;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** What is still in use, garbage excluded. */
function liveBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe("output of a plugin", { timeout: 60_000 }, () => {
  it("a line of 64 MB and 100 MB of stderr: memory stays bounded, what does not fit is counted", async () => {
    let records = 0;
    let dropped = 0;
    let truncated = 0;
    let highestBytes = 0;
    const beginBytes = liveBytes();
    const onLog = (record: LogRecord) => {
      records++;
      dropped += record.droppedLines;
      truncated += record.truncatedBytes;
      // The first one is the long line: all that was kept of it is still there.
      if (records % 500 === 1) highestBytes = Math.max(highestBytes, liveBytes() - beginBytes);
    };
    await using plugin = await launchFixture("flooding-plugin.mjs", { maxLinesPerSecond: 1_000 }, { onLog });
    expect(await get(plugin.endpoint)).toBe("");
    await plugin.kill();
    expect(truncated).toBe(64 * mebibyte - 64 * 1024);
    expect(records + dropped).toBe(1 + (100 * mebibyte) / 128 + 1);
    expect(dropped).toBeGreaterThan(0);
    expect(plugin.stderrTail()).toHaveLength(20);
    expect(plugin.stderrTail().at(-1)).toBe("the last line");
    expect(highestBytes).toBeLessThan(8 * mebibyte);
  });

  it("never blocks the plugin: not when nobody wants the records, nor when the receiver throws", async () => {
    const onLog = () => {
      throw new Error("the log is full");
    };
    await using plugin = await launchFixture("flooding-plugin.mjs", {}, { onLog });
    expect(await get(plugin.endpoint)).toBe("");
  });

  it("a reader that takes its time gets the newest records, and the number of those it missed", async () => {
    const buffer = createLogBuffer({ maxRecords: 10 });
    await using plugin = await launchFixture(
      "flooding-plugin.mjs",
      { maxLinesPerSecond: 1_000_000 },
      { onLog: buffer.push },
    );
    await plugin.kill();
    buffer.end();
    const read: LogRecord[] = [];
    for await (const record of buffer) read.push(record);
    expect(read).toHaveLength(10);
    expect(read.at(-1)?.line).toBe("the last line");
    expect(read.reduce((sum, { droppedLines }) => sum + droppedLines, 0)).toBe((100 * mebibyte) / 128 + 1 - 10);
  });
});
