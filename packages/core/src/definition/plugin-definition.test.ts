import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { Logger } from "../gen/capability/logger/v1/logger_pb.ts";
import { definePlugin } from "./plugin-definition.ts";

const good = { name: "logger", version: "1.0.0", service: Logger };

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return ConnectError.from(error).message;
  }
  return "nothing was thrown";
}

describe("definePlugin", () => {
  it("fills in the service path and the defaults of declarations", () => {
    const plugin = definePlugin({
      ...good,
      provides: [{ type: "logger", version: "1.0.0" }],
      requires: [{ type: "clock" }],
    });
    expect(plugin.servicePath).toBe("/capability.logger.v1.Logger/");
    expect(plugin.provides).toEqual([{ type: "logger", version: "1.0.0", path: "/capability.logger.v1.Logger/" }]);
    expect(plugin.requires).toEqual([
      { type: "clock", minVersion: "", requiredForStartup: true, watchForChanges: false },
    ]);
  });

  it("keeps the time-outs of methods, and those alone that are set", () => {
    expect(definePlugin(good).timeoutsMs).toEqual({});
    expect(definePlugin({ ...good, timeoutsMs: { log: 250 } }).timeoutsMs).toEqual({ log: 250 });
    expect(definePlugin({ ...good, timeoutsMs: { log: undefined } }).timeoutsMs).toEqual({});
  });

  it.each([
    { timeoutsMs: { log: 0 }, error: "timeoutsMs.log must be a whole number from 1 to 2147483647, got 0" },
    { timeoutsMs: { log: 1.5 }, error: "timeoutsMs.log must be a whole number from 1 to 2147483647, got 1.5" },
    {
      timeoutsMs: { log: 2 ** 31 },
      error: "timeoutsMs.log must be a whole number from 1 to 2147483647, got 2147483648",
    },
    { timeoutsMs: { lock: 5 }, error: "timeoutsMs.lock names no method of capability.logger.v1.Logger" },
  ])("refuses the time-outs $timeoutsMs", ({ timeoutsMs, error }) => {
    const unchecked: object = timeoutsMs;
    expect(() => definePlugin({ ...good, timeoutsMs: unchecked })).toThrow(error);
  });

  it.each([
    { field: "name", options: { ...good, name: "" } },
    { field: "name", options: { ...good, name: "9lives" } },
    { field: "name", options: { ...good, name: "a..b" } },
    { field: "name", options: { ...good, name: `n${"ä".repeat(64)}` } },
    { field: "version", options: { ...good, version: "1.0" } },
    { field: "version", options: { ...good, version: "1.0.0+build" } },
    { field: "version", options: { ...good, version: "01.0.0" } },
    { field: "version", options: { ...good, version: "9007199254740992.0.0" } },
    { field: "provides[0].type", options: { ...good, provides: [{ type: "a b", version: "1.0.0" }] } },
    { field: "provides[0].version", options: { ...good, provides: [{ type: "a", version: "^1.0.0" }] } },
    { field: "provides[0].path", options: { ...good, provides: [{ type: "a", version: "1.0.0", path: "/a" }] } },
    {
      field: "provides[0].path",
      options: { ...good, provides: [{ type: "a", version: "1.0.0", path: "/connectplugin.v1.PluginControl/" }] },
    },
    {
      field: "requires[1].minVersion",
      options: { ...good, requires: [{ type: "a" }, { type: "b", minVersion: "1" }] },
    },
  ])("names $field when $options.name $options.version breaks its rule", ({ field, options }) => {
    expect(messageOf(() => definePlugin(options))).toContain(`[invalid_argument] ${field} must`);
  });

  it("accepts names and versions at their limits", () => {
    expect(definePlugin({ ...good, name: `n${"x".repeat(127)}` }).name).toHaveLength(128);
    expect(definePlugin({ ...good, version: "1.0.0-rc.1" }).version).toBe("1.0.0-rc.1");
  });
});
