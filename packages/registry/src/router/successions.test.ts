import { describe, expect, it } from "vitest";
import { createRegistryStore } from "../state/create-registry-store.ts";
import { createSuccessions } from "./successions.ts";

const facts = { type: "t", version: "1.0.0", endpointPath: "/", metadata: {}, weight: 100, leaseMs: undefined };

function setUp(...ids: readonly string[]) {
  const store = createRegistryStore();
  for (const id of ids) store.register({ id, selfId: id, instance: id }, { ...facts, upstream: undefined });
  const successions = createSuccessions(store);
  const remove = (id: string) => store.removeProvider(id, "removed");
  return { ...successions, remove };
}

describe("successions", () => {
  it("lead to the end of a chain at once, and outlive those whose place was taken", () => {
    const { add, heirOf, remove } = setUp("a", "b", "c");
    add("a", "b");
    remove("a");
    expect(heirOf("a")).toBe("b");
    add("b", "c");
    remove("b");
    expect(["a", "b", "c"].map(heirOf)).toEqual(["c", "c", undefined]);
  });

  it("end when the last of them is removed", () => {
    const { add, heirOf, remove } = setUp("a", "b", "x", "y");
    add("a", "b");
    add("x", "y");
    remove("b");
    expect(["a", "x"].map(heirOf)).toEqual([undefined, "y"]);
  });

  it("may lead back", () => {
    const { add, heirOf } = setUp("a", "b");
    add("a", "b");
    add("b", "a");
    expect(["a", "b"].map(heirOf)).toEqual([undefined, "a"]);
  });

  it("are 4 096 at most, the newest", () => {
    const { add, heirOf } = setUp("heir");
    for (let index = 0; index <= 4_096; index++) add(`old-${index}`, "heir");
    expect(["old-0", "old-1", "old-4096"].map(heirOf)).toEqual([undefined, "heir", "heir"]);
  });

  it("are followed until they are closed", () => {
    const { add, heirOf, close } = setUp("a", "b");
    add("a", "b");
    close();
    expect(heirOf("a")).toBeUndefined();
  });
});
