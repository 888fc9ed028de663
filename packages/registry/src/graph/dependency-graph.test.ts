import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDependencyGraph, describeProblem } from "./dependency-graph.ts";
import type { GraphPlugin } from "./graph-plugin.ts";

/** "api: storage@1.2.0 logger?" needs storage from 1.2.0 on, and logger if there is one; it provides api 1.0.0. */
function plugin(line: string): GraphPlugin {
  const [head = "", needs = ""] = line.split(":");
  const [id = "", ...provided] = head.trim().split(" ");
  return {
    id,
    provides: (provided.length === 0 ? [`${id}@1.0.0`] : provided).map((entry) => {
      const [type = "", version = "1.0.0"] = entry.split("@");
      return { type, version };
    }),
    requires: needs
      .split(" ")
      .filter((entry) => entry !== "")
      .map((entry) => {
        const [type = "", minVersion] = entry.replace("?", "").split("@");
        return { type, minVersion, requiredForStartup: !entry.endsWith("?") };
      }),
  };
}
const graph = (...lines: string[]) => createDependencyGraph(lines.map(plugin));

describe("layers", () => {
  it.each<{ title: string; plugins: string[]; layers: string[][] }>([
    { title: "nothing", plugins: [], layers: [] },
    { title: "plugins without needs", plugins: ["a", "b"], layers: [["a", "b"]] },
    {
      title: "a chain",
      plugins: ["api: storage", "logger", "storage: logger"],
      layers: [["logger"], ["storage"], ["api"]],
    },
    { title: "a diamond", plugins: ["a", "b: a", "c: a", "d: b c"], layers: [["a"], ["b", "c"], ["d"]] },
    {
      title: "all providers of a type",
      plugins: ["c: log", "l1 log", "x", "l2 log: x"],
      layers: [["l1", "x"], ["l2"], ["c"]],
    },
    {
      title: "only providers new enough",
      plugins: ["c: log@2.0.0", "old log@1.9.0: c", "new log@2.0.0"],
      layers: [["new"], ["c"], ["old"]],
    },
    { title: "what can be done without", plugins: ["c: log?", "log"], layers: [["log"], ["c"]] },
    { title: "an optional need that would close a circle", plugins: ["a: b?", "b: a"], layers: [["a"], ["b"]] },
    {
      title: "an optional need beside a circle of others",
      plugins: ["a: b? x?", "b: a", "x"],
      layers: [["x"], ["a"], ["b"]],
    },
    {
      title: "a plugin that provides what it needs itself",
      plugins: ["a log: log", "b log: x", "x"],
      layers: [["a", "x"], ["b"]],
    },
    { title: "what nobody provides", plugins: ["a: nothing"], layers: [["a"]] },
  ])("$title", ({ plugins, layers }) => {
    expect(graph(...plugins).layers).toEqual(layers);
  });

  it("holds 100,000 plugins of 5 needs each", () => {
    const plugins: GraphPlugin[] = Array.from({ length: 100_000 }, (_, index) => ({
      id: `p${index}`,
      provides: [{ type: `t${index}`, version: "1.0.0" }],
      requires: [1, 2, 3, 5, 8]
        .map((step) => Math.floor(index / 2) - step)
        .filter((needed) => needed >= 0)
        .map((needed) => ({ type: `t${needed}` })),
    }));
    const { layers, problems } = createDependencyGraph(plugins);
    expect(problems).toEqual([]);
    expect(layers.reduce((sum, layer) => sum + layer.length, 0)).toBe(100_000);
  });
});

describe("problems", () => {
  it.each<{ title: string; plugins: string[]; sentences: string[] }>([
    {
      title: "a missing provider",
      plugins: ["api: storage"],
      sentences: ["api needs storage, and no plugin provides storage"],
    },
    {
      title: "a version that is too old, not compared as text",
      plugins: ["api: storage@10.0.0", "s1 storage@9.0.0", "s2 storage@10.0.0-rc.1"],
      sentences: ["api needs storage 10.0.0 or newer; s1 has 9.0.0, s2 has 10.0.0-rc.1"],
    },
    {
      title: "a circle",
      plugins: ["x: a", "a: b", "b: c", "c: a"],
      sentences: ["these plugins need each other: a -> b -> c -> a"],
    },
    {
      title: "two that need each other",
      plugins: ["a: b", "b: a"],
      sentences: ["these plugins need each other: a -> b -> a"],
    },
    {
      title: "several",
      plugins: ["a: b nothing", "b: a"],
      sentences: ["a needs nothing, and no plugin provides nothing", "these plugins need each other: a -> b -> a"],
    },
    { title: "none for what can be done without", plugins: ["api: storage?"], sentences: [] },
  ])("$title", ({ plugins, sentences }) => {
    expect(graph(...plugins).problems.map(describeProblem)).toEqual(sentences);
  });

  it("takes prereleases by precedence", () => {
    expect(graph("a: s@1.0.0-rc.1", "p s@1.0.0").problems).toEqual([]);
    expect(graph("a: s@1.0.0-rc.1", "p s@1.0.0-rc.2").problems).toEqual([]);
  });

  it("tells of what is missing and not required, apart", () => {
    expect(graph("api: storage? log?", "log").unmetOptional).toMatchObject([{ consumer: "api", type: "storage" }]);
  });

  it("refuses two plugins of one id, and what is no version", () => {
    expect(() => graph("a", "a")).toThrow(/^two plugins have the id "a"$/);
    expect(() => graph("a: s@new", "p s@1.0.0")).toThrow(TypeError);
  });
});

describe("impact", () => {
  it("tells what is lost, broken, degraded and rerouted", () => {
    const plugins = graph(
      "logger log",
      "storage: log",
      "api: storage",
      "cli: api log?",
      "mail: log?",
      "cache",
      "audit: cache",
    );
    expect(plugins.impact("logger")).toEqual({
      plugin: "logger",
      servicesLost: ["log"],
      brokenDirectly: ["storage"],
      brokenTransitively: ["api", "cli"],
      degraded: ["mail"],
      rerouted: [],
    });
    expect(plugins.impact("audit")).toMatchObject({ servicesLost: ["audit"], brokenDirectly: [], rerouted: [] });
  });

  it("sees another provider, if it is new enough", () => {
    const plugins = graph("l1 log@2.0.0", "l2 log@1.0.0", "a: log@1.0.0", "b: log@2.0.0");
    expect(plugins.impact("l1")).toMatchObject({ servicesLost: [], brokenDirectly: ["b"], rerouted: ["a"] });
    expect(plugins.impact("l2")).toMatchObject({ brokenDirectly: [], rerouted: ["a"] });
  });

  it("refuses an id that no plugin has", () => {
    expect(() => graph("a").impact("b")).toThrow(/^no plugin has the id "b"$/);
  });
});

describe("laws", () => {
  const types = ["a", "b", "c", "d", "e", "f"];
  const requirement = fc.record({
    type: fc.constantFrom(...types),
    minVersion: fc.constantFrom("", "1.0.0", "2.0.0"),
    requiredForStartup: fc.boolean(),
  });
  const provision = fc.record({ type: fc.constantFrom(...types), version: fc.constantFrom("1.0.0", "1.5.0", "2.0.0") });
  const plugins = fc
    .array(
      fc.record({
        provides: fc.uniqueArray(provision, { maxLength: 2, selector: ({ type }) => type }),
        requires: fc.uniqueArray(requirement, { maxLength: 3, selector: ({ type }) => type }),
      }),
      { maxLength: 9 },
    )
    .map((list) => list.map((facts, index) => ({ id: `p${index}`, ...facts })));
  type Plugins = (typeof plugins extends fc.Arbitrary<infer Value> ? Value : never)[number][];

  const meets = (version: string, minVersion: string) => minVersion === "" || version >= minVersion;
  const providersOf = (all: Plugins, { type, minVersion }: { type: string; minVersion: string }) =>
    all.filter(({ provides }) => provides.some((one) => one.type === type && meets(one.version, minVersion)));

  it("a plugin comes after every provider of what it requires, or is in no layer", () => {
    fc.assert(
      fc.property(plugins, (all) => {
        const { layers, problems } = createDependencyGraph(all);
        const layerOf = new Map(layers.flatMap((layer, index) => layer.map((id) => [id, index] as const)));
        for (const { id, requires } of all) {
          const own = layerOf.get(id) ?? Number.POSITIVE_INFINITY;
          for (const requirement of requires.filter(({ requiredForStartup }) => requiredForStartup)) {
            const providers = providersOf(all, requirement);
            if (providers.some((provider) => provider.id === id)) continue;
            for (const provider of providers) {
              expect(layerOf.get(provider.id) ?? Number.POSITIVE_INFINITY).toSatisfy(
                (layer: number) => layer < own || own === Number.POSITIVE_INFINITY,
              );
            }
          }
        }
        const cycles = problems.filter(({ kind }) => kind === "cycle");
        expect(cycles).toHaveLength(layerOf.size === all.length ? 0 : 1);
      }),
      { numRuns: 1_000 },
    );
  });

  it("a circle is one: each of its plugins requires the next", () => {
    fc.assert(
      fc.property(plugins, (all) => {
        for (const problem of createDependencyGraph(all).problems) {
          const path = problem.kind === "cycle" ? problem.path : [];
          for (const [index, id] of path.slice(0, -1).entries()) {
            const { requires = [] } = all.find((one) => one.id === id) ?? {};
            const next = path[index + 1];
            expect(
              requires.some(
                (requirement) =>
                  requirement.requiredForStartup &&
                  providersOf(all, requirement).some((provider) => provider.id === next),
              ),
            ).toBe(true);
          }
          expect(path.at(-1)).toBe(path[0]);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("what an impact says is what is seen when the plugin, and what breaks, is taken away", () => {
    fc.assert(
      fc.property(plugins, fc.nat(8), (all, place) => {
        const removed = all[place % Math.max(1, all.length)];
        if (removed === undefined) return;
        const impact = createDependencyGraph(all).impact(removed.id);
        // Those whose required needs were met before, taken away until nobody misses anything more.
        let left = all.filter(({ id }) => id !== removed.id);
        const broken: string[] = [];
        for (;;) {
          const next = left.filter(({ requires }) =>
            requires.every(
              (requirement) =>
                !requirement.requiredForStartup ||
                providersOf(all, requirement).length === 0 ||
                providersOf(left, requirement).length > 0,
            ),
          );
          broken.push(...left.filter((one) => !next.includes(one)).map(({ id }) => id));
          if (next.length === left.length) break;
          left = next;
        }
        const told = [...impact.brokenDirectly, ...impact.brokenTransitively];
        expect(told.toSorted()).toEqual(broken.toSorted());
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("exports", () => {
  const plugins = graph('a"b log', "api: log nothing mail?", "mail");

  it("a Mermaid flowchart", () => {
    expect(plugins.toMermaid()).toBe(
      `${[
        "flowchart LR",
        '  p0["a#34;b"]',
        '  p1["api"]',
        '  p2["mail"]',
        '  p1 -->|"log"| p0',
        '  p1 -.->|"mail"| p2',
        '  m0(["nothing is missing"])',
        "  p1 --x m0",
      ].join("\n")}\n`,
    );
  });

  it("a graph for Graphviz", () => {
    expect(plugins.toDot()).toBe(
      `${[
        "digraph plugins {",
        "  rankdir=LR;",
        "  node [shape=box];",
        '  p0 [label="a\\"b"];',
        '  p1 [label="api"];',
        '  p2 [label="mail"];',
        '  p1 -> p0 [label="log"];',
        '  p1 -> p2 [label="mail", style=dashed];',
        '  m0 [label="nothing is missing", shape=oval, color=red];',
        "  p1 -> m0 [color=red];",
        "}",
      ].join("\n")}\n`,
    );
  });
});
