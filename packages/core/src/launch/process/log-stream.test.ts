import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import type { LogRecord } from "../launch-strategy.ts";
import { createLogStream } from "./log-stream.ts";

function collect(maxLinesPerSecond: number, onRecord: (record: LogRecord) => unknown = () => {}) {
  const clock = new FakeClock(1_000);
  const records: LogRecord[] = [];
  const stream = createLogStream({
    plugin: "p",
    stream: "stderr",
    maxLineBytes: 256,
    maxLinesPerSecond,
    clock,
    onLog(record) {
      const result = onRecord(record);
      records.push(record);
      return result;
    },
    intercept: (line) => line === "not for the log",
  });
  return { clock, records, write: (text: string) => stream.write(Buffer.from(text)), end: () => stream.end() };
}

describe("createLogStream", () => {
  it("makes a record of each line, but for those that are intercepted", () => {
    const { records, write, end } = collect(10);
    write("one\nnot for the log\ntwo\n");
    end();
    const record = { plugin: "p", stream: "stderr", truncatedBytes: 0, droppedLines: 0, timeMs: 1_000 };
    expect(records).toEqual([
      { ...record, line: "one" },
      { ...record, line: "two" },
    ]);
  });

  it("drops what is above the rate, and counts it in the next record", async () => {
    const { clock, records, write } = collect(2);
    write("1\n2\n3\n4\n");
    await clock.advance(999);
    write("5\n");
    await clock.advance(1);
    write("6\n7\n8\n");
    expect(records.map(({ line, droppedLines }) => [line, droppedLines])).toEqual([
      ["1", 0],
      ["2", 0],
      ["6", 3],
      ["7", 0],
    ]);
  });

  it("delivers the last line even when the rate is spent", () => {
    const { records, write, end } = collect(1);
    write("1\n2\n3\nlast words");
    end();
    expect(records.map(({ line, droppedLines }) => [line, droppedLines])).toEqual([
      ["1", 0],
      ["last words", 2],
    ]);
  });

  it("counts a record on which the receiver threw as dropped", () => {
    const { records, write } = collect(10, ({ line }) => {
      if (line === "bad") throw new Error("log is full");
    });
    write("bad\nbad\ngood\ngood\n");
    expect(records.map(({ line, droppedLines }) => [line, droppedLines])).toEqual([
      ["good", 2],
      ["good", 0],
    ]);
  });

  it("counts a record with which an asynchronous receiver failed", async () => {
    const { records, write } = collect(10, async ({ line }) => {
      if (line === "bad") throw new Error("log is full");
    });
    write("bad\n");
    await Promise.resolve();
    write("good\n");
    expect(records.map(({ line, droppedLines }) => [line, droppedLines])).toEqual([
      ["bad", 0],
      ["good", 1],
    ]);
  });
});
