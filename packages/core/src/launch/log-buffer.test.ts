import { describe, expect, it } from "vitest";
import type { LogRecord } from "./launch-strategy.ts";
import { createLogBuffer, type LogBuffer } from "./log-buffer.ts";

function record(line: string, facts: Partial<LogRecord> = {}): LogRecord {
  return { plugin: "p", stream: "stdout", line, truncatedBytes: 0, droppedLines: 0, timeMs: 0, ...facts };
}

async function readAll(buffer: LogBuffer): Promise<[string, number][]> {
  const read: [string, number][] = [];
  for await (const { line, droppedLines } of buffer) read.push([line, droppedLines]);
  return read;
}

describe("createLogBuffer", () => {
  it("hands over records in order, those that arrive while it waits too", async () => {
    const buffer = createLogBuffer();
    buffer.push(record("1"));
    const reading = readAll(buffer);
    await Promise.resolve();
    buffer.push(record("2"));
    await new Promise(setImmediate);
    buffer.push(record("3"));
    buffer.end();
    buffer.push(record("too late"));
    expect(await reading).toEqual([
      ["1", 0],
      ["2", 0],
      ["3", 0],
    ]);
  });

  it("lets the oldest go when it is full, and counts it for its own plugin and stream", async () => {
    const buffer = createLogBuffer({ maxRecords: 3 });
    for (const line of ["1", "2"]) buffer.push(record(line, { droppedLines: 10 }));
    buffer.push(record("e1", { stream: "stderr" }));
    for (const line of ["3", "4"]) buffer.push(record(line));
    buffer.end();
    expect(await readAll(buffer)).toEqual([
      ["e1", 0],
      ["3", 22],
      ["4", 0],
    ]);
  });

  it("goes on after a reader that stopped early", async () => {
    const buffer = createLogBuffer();
    for (const line of ["1", "2"]) buffer.push(record(line));
    for await (const { line } of buffer) {
      expect(line).toBe("1");
      break;
    }
    buffer.end();
    expect(await readAll(buffer)).toEqual([["2", 0]]);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses maxRecords %s", (maxRecords) => {
    expect(() => createLogBuffer({ maxRecords })).toThrow(/^maxRecords must be a whole number from 1/);
  });
});
