import { describe, expect, it } from "vitest";
import type { GraphPlugin } from "../graph/graph-plugin.ts";
import { planStart, planStop } from "./plan-start.ts";

/** "id: type…" provides its own id as a type, and needs these; "type?" is not required. */
function plugin(text: string): GraphPlugin {
  const [id = "", needs = ""] = text.split(":");
  const requires = needs
    .split(" ")
    .filter((type) => type !== "")
    .map((type) => ({ type: type.replace("?", ""), requiredForStartup: !type.endsWith("?") }));
  return { id, provides: [{ type: id, version: "1.0.0" }], requires };
}

describe("planStart", () => {
  it("lets each wait for those that provide what it needs, and for nobody else", () => {
    const plan = planStart(["c:a b?", "b:a", "a", "d:gone"].map(plugin), []);
    expect([...plan.after]).toEqual([
      ["c", ["b", "a"]],
      ["b", ["a"]],
      ["a", []],
      ["d", []],
    ]);
    expect(plan.order.indexOf("a")).toBeLessThan(plan.order.indexOf("b"));
    expect(plan.order.indexOf("b")).toBeLessThan(plan.order.indexOf("c"));
    expect(plan.problems.size).toBe(0);
  });

  it("does not wait for what runs already", () => {
    expect([...planStart([plugin("b:a")], [plugin("a:b")]).after]).toEqual([["b", []]]);
  });

  it("names those in a circle and those that need them, and starts the others", () => {
    const plan = planStart(["a:b", "b:a", "c:a", "d"].map(plugin), []);
    expect([...plan.problems.keys()].sort()).toEqual(["a", "b", "c"]);
    expect(plan.problems.get("a")).toContain("->");
    expect(plan.order).toEqual(["d"]);
  });

  it("lets needs that are not required give way in a circle", () => {
    const plan = planStart(["a:b?", "b:a"].map(plugin), []);
    expect([...plan.after]).toEqual([
      ["a", []],
      ["b", ["a"]],
    ]);
  });
});

describe("planStop", () => {
  it("is the reverse: each after all that need it, and first those that wait for each other", () => {
    expect(planStop(["a", "b:a", "c:b", "d"].map(plugin))).toEqual([["c"], ["b"], ["a", "d"]]);
    expect(planStop(["x", "a:b x", "b:a"].map(plugin))).toEqual([["a", "b"], ["x"]]);
    expect(planStop([])).toEqual([]);
  });
});
