import { FakeClock } from "@cpg/resilience/testing";
import { describe, expect, it } from "vitest";
import type { HostLog } from "./host-log.ts";
import { type LoggerOptions, resolveLoggerOptions } from "./logger-options.ts";
import { createPluginLog } from "./plugin-log.ts";

function scene(options: LoggerOptions = {}) {
  const clock = new FakeClock();
  const lines: unknown[][] = [];
  const level = (name: string) => (fields: object, message: string) => void lines.push([name, fields, message]);
  const target: HostLog = { debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") };
  const log = createPluginLog(target, resolveLoggerOptions({ clock, ...options }));
  const write = (plugin: string, message = "hello") => log.write(plugin, { level: "info", message, fields: {} });
  return { clock, lines, log, write };
}

const line = (plugin: string, message = "hello") => ["info", { plugin }, message];
const begins = (plugin: string) => ["warn", { plugin }, "a plugin writes too many entries: some are dropped"];
const over = (plugin: string, dropped: number) => [
  "warn",
  { plugin, dropped },
  "entries of a plugin were dropped: it wrote too many",
];

describe("the log of plugins", () => {
  it("says which plugin wrote", () => {
    const { write, lines } = scene();
    write("kv-1");
    write("kv-2", "two");
    expect(lines).toEqual([line("kv-1"), line("kv-2", "two")]);
  });

  it("drops what a plugin writes beyond its burst and rate, counts it, and reports it once each way", async () => {
    const { write, lines, clock } = scene({ burst: 2, perSecond: 1 });
    for (let count = 0; count < 5; count++) write("loud");
    expect(lines).toEqual([line("loud"), line("loud"), begins("loud")]);
    await clock.advance(1_000);
    write("loud", "again");
    expect(lines.slice(3)).toEqual([over("loud", 3), line("loud", "again")]);
  });

  it("lets no plugin use up what others may write", () => {
    const { write, lines } = scene({ burst: 1, perSecond: 1 });
    write("loud");
    write("loud");
    write("calm");
    expect(lines).toEqual([line("loud"), begins("loud"), line("calm")]);
  });

  it("reports what it dropped last when the plugin ends, and keeps nothing of it", () => {
    const { write, lines, log } = scene({ burst: 1, perSecond: 1 });
    write("loud");
    write("loud");
    log.end("loud");
    log.end("loud");
    write("loud");
    expect(lines).toEqual([line("loud"), begins("loud"), over("loud", 1), line("loud")]);
  });

  it("keeps a bounded number of writers", () => {
    const { write, lines } = scene({ burst: 1, perSecond: 1 });
    write("first");
    for (let count = 0; count < 10_000; count++) write(`other-${count}`);
    write("first"); // forgotten, so that its burst is full again
    expect(lines.at(-1)).toEqual(line("first"));
  });
});

describe("the options of the logger", () => {
  it.each([
    { maxMessage: 0 },
    { maxFields: -1 },
    { maxKey: 1.5 },
    { maxValue: Number.NaN },
    { burst: 0 },
    { perSecond: 0 },
    { perSecond: Number.POSITIVE_INFINITY },
  ])("are checked: %o", (options) => {
    const [name = ""] = Object.keys(options);
    expect(() => resolveLoggerOptions(options)).toThrow(RangeError);
    expect(() => resolveLoggerOptions(options)).toThrow(new RegExp(`^${name} must be`));
  });
});
