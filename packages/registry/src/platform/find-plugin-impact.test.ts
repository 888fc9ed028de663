import { describe, expect, it } from "vitest";
import { describeBreaks, findPluginImpact } from "./find-plugin-impact.ts";
import type { PlatformGraphPlugin } from "./platform-graph.ts";

const plugin = (id: string, provides: string, requires: string): PlatformGraphPlugin => ({
  id,
  selfId: `self-${id}`,
  provides: provides.split(" ").flatMap((type) => (type === "" ? [] : [{ type, version: "1.0.0" }])),
  requires: requires.split(" ").flatMap((type) => {
    return type === "" ? [] : [{ type: type.replace("?", ""), requiredForStartup: !type.endsWith("?") }];
  }),
});

const plugins = [
  plugin("db", "store cache", ""),
  plugin("cache", "cache", ""),
  plugin("api", "api", "store"),
  plugin("web", "", "api"),
  plugin("stats", "", "store?"),
  plugin("fast", "", "cache"),
];

describe("findPluginImpact", () => {
  it("tells who breaks, degrades and goes elsewhere, and by which types", () => {
    expect(findPluginImpact(plugins, "db")).toEqual({
      plugin: "db",
      servicesLost: ["store"],
      breaks: [
        { plugin: "api", selfId: "self-api", types: ["store"], direct: true },
        { plugin: "web", selfId: "self-web", types: ["api"], direct: false },
      ],
      degrades: [{ plugin: "stats", selfId: "self-stats", types: ["store"], direct: true }],
      reroutes: [{ plugin: "fast", selfId: "self-fast", types: ["cache"], direct: true }],
    });
  });

  it("of one that nobody needs is nothing", () => {
    expect(findPluginImpact(plugins, "web")).toEqual({
      plugin: "web",
      servicesLost: [],
      breaks: [],
      degrades: [],
      reroutes: [],
    });
  });

  it("is told in words, by name", () => {
    const text = describeBreaks(findPluginImpact(plugins, "db"));
    expect(text).toContain("api (needs store), web (needs api)");
  });
});
