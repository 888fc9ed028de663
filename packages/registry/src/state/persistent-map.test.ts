import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyMap, lookUp, type PersistentMap, valuesOf, withEntry, withoutEntry } from "./persistent-map.ts";

describe("persistent map", () => {
  it("holds what a Map would, and leaves every earlier map as it was", () => {
    const step = fc.record({ key: fc.string({ maxLength: 3 }), value: fc.option(fc.nat(), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new Map<string, number>();
        let map: PersistentMap<number> = emptyMap();
        const past: { readonly map: PersistentMap<number>; readonly values: readonly number[] }[] = [];
        for (const { key, value } of steps) {
          past.push({ map, values: [...valuesOf(map)] });
          if (value === undefined) model.delete(key);
          else model.set(key, value);
          map = value === undefined ? withoutEntry(map, key) : withEntry(map, key, value);
          expect(map.size).toBe(model.size);
          expect(lookUp(map, key)).toBe(value);
        }
        expect([...valuesOf(map)].sort()).toEqual([...model.values()].sort());
        for (const { map: earlier, values } of past) expect([...valuesOf(earlier)]).toEqual(values);
      }),
    );
  });

  it("finds each of many keys, many of them in the same bucket", () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `logger-${index}`);
    const map = keys.reduce<PersistentMap<string>>((made, key) => withEntry(made, key, key), emptyMap());
    expect(keys.filter((key) => lookUp(map, key) !== key)).toEqual([]);
    expect(keys.reduce((made, key) => withoutEntry(made, key), map).size).toBe(0);
  });

  it("is the same map when what is taken out is not there", () => {
    const map = withEntry(emptyMap<number>(), "a", 1);
    expect(withoutEntry(map, "b")).toBe(map);
  });
});
