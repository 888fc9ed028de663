import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKeyedStore } from "./keyed-store.ts";

interface Cell {
  readonly key: string;
  busy: boolean;
}

function cells(maxKeys: number) {
  return createKeyedStore<Cell>({
    maxKeys,
    create: (key) => ({ key, busy: false }),
    isIdle: ({ busy }) => !busy,
  });
}

const keysOf = (store: ReturnType<typeof cells>) => [...store.entries()].map(([key]) => key).toSorted();

describe("createKeyedStore", () => {
  it("makes a value once per key; peek makes none", () => {
    const store = cells(2);
    expect(store.peek("a")).toBeUndefined();
    const a = store.get("a");
    expect([store.get("a"), store.peek("a"), store.size]).toEqual([a, a, 1]);
    expect(store.get("a")).toBe(a);
  });

  it.each([
    { title: "the idle one that was not used", busy: ["a"], used: ["b"], gone: "c" },
    { title: "the oldest of several idle ones", busy: [], used: [], gone: "a" },
    {
      title: "an idle one that was used rather than a busy one that was not",
      busy: ["a", "b"],
      used: ["c"],
      gone: "c",
    },
    { title: "if none is idle, the first that was not used", busy: ["a", "b", "c"], used: ["a"], gone: "b" },
    { title: "if all are busy and used, the first", busy: ["a", "b", "c"], used: ["a", "b", "c"], gone: "a" },
  ])("when full forgets $title", ({ busy, used, gone }) => {
    const store = cells(3);
    for (const key of ["a", "b", "c"]) store.get(key).busy = busy.includes(key);
    for (const key of used) store.get(key);
    store.get("new");
    expect(keysOf(store)).toEqual(["a", "b", "c", "new"].filter((key) => key !== gone).toSorted());
  });

  it("peek does not save a key from being forgotten", () => {
    const store = cells(2);
    store.get("a");
    store.get("b");
    store.peek("a");
    store.get("new");
    expect(keysOf(store)).toEqual(["b", "new"]);
  });

  it("looks at 64 values at most, and at others the next time", () => {
    let looks = 0;
    const store = createKeyedStore<string>({
      maxKeys: 200,
      create: (key) => key,
      isIdle: (key) => {
        looks += 1;
        return key === "70";
      },
    });
    for (let index = 0; index < 200; index++) store.get(`${index}`);
    store.get("first");
    expect([looks, store.peek("70")]).toEqual([64, "70"]);
    store.get("second");
    expect(store.peek("70")).toBeUndefined();
  });

  it("is as it was when a value cannot be made", () => {
    const store = createKeyedStore<string>({
      maxKeys: 1,
      create: (key) => {
        if (key === "bad") throw new TypeError("no");
        return key;
      },
      isIdle: () => true,
    });
    store.get("good");
    expect(() => store.get("bad")).toThrow(new TypeError("no"));
    expect(store.peek("good")).toBe("good");
  });

  it.each([0, 1.5, -1, Number.NaN])("refuses maxKeys %d", (maxKeys) => {
    expect(() => cells(maxKeys)).toThrow(new RangeError(`maxKeys must be a whole number from 1, got ${maxKeys}`));
  });

  it("law: never more than maxKeys; no busy value is forgotten while there is an idle one", () => {
    const step = fc.record({ key: fc.nat(9).map(String), busy: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 60 }), (maxKeys, steps) => {
        const store = cells(maxKeys);
        for (const { key, busy } of steps) {
          const before = [...store.entries()].map(([, cell]) => cell);
          store.get(key).busy = busy;
          expect(store.size).toBeLessThanOrEqual(maxKeys);
          const lost = before.filter((cell) => store.peek(cell.key) !== cell);
          expect(lost.length).toBeLessThanOrEqual(1);
          expect(lost.every((cell) => !cell.busy) || before.every((cell) => cell.busy)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
