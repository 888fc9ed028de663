import { describe, expect, it } from "vitest";
import { createDependencyGraph } from "./dependency-graph.ts";
import type { GraphPlugin } from "./graph-plugin.ts";
import { HOST_ID, lentByHost } from "./lent-by-host.ts";

const provides = (...types: string[]) => types.map((type) => ({ type, version: "1.0.0" }));

describe("what a host lends", () => {
  it("meets requirements as a provider does, by version too", () => {
    const plugins: GraphPlugin[] = [
      { id: "a", requires: [{ type: "logger", minVersion: "1.0.0" }] },
      { id: "b", requires: [{ type: "logger", minVersion: "2.0.0" }] },
    ];
    const { problems, layers } = createDependencyGraph([...plugins, ...lentByHost(plugins, provides("logger"))]);
    expect(layers[0]).toContain(HOST_ID);
    expect(problems).toMatchObject([{ kind: "version", consumer: "b", found: [{ provider: HOST_ID }] }]);
  });

  it("does not stand in for a service of the same type", () => {
    const plugins = [{ id: "a", provides: provides("logger") }];
    expect(lentByHost(plugins, provides("logger"))).toEqual([]);
    expect(lentByHost(plugins, provides("logger", "secrets"))).toMatchObject([{ provides: provides("secrets") }]);
    expect(lentByHost(plugins, [])).toEqual([]);
  });
});
