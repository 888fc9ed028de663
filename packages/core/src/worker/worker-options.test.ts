import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { resolveWorkerOptions, type WorkerStrategyOptions } from "./worker-options.ts";
import { workerStrategy } from "./worker-strategy.ts";

const entry = "plugin.js";

describe("resolveWorkerOptions", () => {
  it("has defaults, for options that are undefined, too", () => {
    const defaults = {
      entry: resolve("plugin.js"),
      args: [],
      nodeArgs: [],
      env: {},
      inheritEnv: ["PATH", "HOME", "LANG", "LC_*", "TZ", "TMPDIR"],
      resourceLimits: {},
      maxLineBytes: 65_536,
      maxLinesPerSecond: 10_000,
    };
    expect(resolveWorkerOptions({ entry })).toEqual(defaults);
    const all = Object.keys(defaults).map((name) => [name, undefined]);
    expect(resolveWorkerOptions({ ...Object.fromEntries(all), entry })).toEqual(defaults);
    expect(resolveWorkerOptions({ entry, resourceLimits: { stackSizeMb: undefined } as never })).toEqual(defaults);
  });

  it("takes a file URL, and every limit of Node", () => {
    const resourceLimits = {
      maxOldGenerationSizeMb: 16,
      maxYoungGenerationSizeMb: 0.5,
      codeRangeSizeMb: 1,
      stackSizeMb: 0.5,
    };
    const resolved = resolveWorkerOptions({ entry: pathToFileURL("/a b/plugin.js"), resourceLimits });
    expect(resolved).toMatchObject({ entry: "/a b/plugin.js", resourceLimits });
  });

  const refused: {
    options: Partial<WorkerStrategyOptions>;
    error: typeof TypeError | typeof RangeError;
    names: string;
  }[] = [
    { options: { entry: "" }, error: TypeError, names: "entry" },
    { options: { entry: "a\0b" }, error: TypeError, names: "entry" },
    { options: { entry: 5 as never }, error: TypeError, names: "entry" },
    { options: { entry: new URL("https://example.com/p.js") }, error: TypeError, names: "entry" },
    { options: { args: ["a\0b"] }, error: TypeError, names: "args" },
    { options: { args: [5 as never] }, error: TypeError, names: "args" },
    { options: { nodeArgs: ["\0"] }, error: TypeError, names: "nodeArgs" },
    { options: { env: { PORT: "1" } }, error: TypeError, names: "env.PORT" },
    { options: { env: { A: 1 as never } }, error: TypeError, names: "env.A" },
    { options: { inheritEnv: ["*"] }, error: TypeError, names: "inheritEnv" },
    { options: { resourceLimits: { heap: 5 } as never }, error: TypeError, names: "resourceLimits.heap" },
    {
      options: { resourceLimits: { maxOldGenerationSizeMb: 15 } },
      error: RangeError,
      names: "resourceLimits.maxOldGenerationSizeMb",
    },
    {
      options: { resourceLimits: { maxYoungGenerationSizeMb: 0 } },
      error: RangeError,
      names: "resourceLimits.maxYoungGenerationSizeMb",
    },
    {
      options: { resourceLimits: { codeRangeSizeMb: Number.NaN } },
      error: RangeError,
      names: "resourceLimits.codeRangeSizeMb",
    },
    { options: { resourceLimits: { stackSizeMb: 0.1 } }, error: RangeError, names: "resourceLimits.stackSizeMb" },
    {
      options: { resourceLimits: { stackSizeMb: "4" as never } },
      error: RangeError,
      names: "resourceLimits.stackSizeMb",
    },
    { options: { maxLineBytes: 255 }, error: RangeError, names: "maxLineBytes" },
    { options: { maxLinesPerSecond: 0.5 }, error: RangeError, names: "maxLinesPerSecond" },
  ];

  it.each(refused)("refuses $options, naming $names", ({ options, error, names }) => {
    const make = () => workerStrategy({ entry, ...options });
    expect(make).toThrow(error);
    expect(make).toThrow(new RegExp(`^${names.replace(".", "\\.")} (must|has|is)`));
  });
});
