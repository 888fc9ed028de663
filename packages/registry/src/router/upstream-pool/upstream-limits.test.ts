import { expect, it } from "vitest";
import { resolveForwarderLimits } from "./upstream-limits.ts";

const names = Object.keys(resolveForwarderLimits()) as (keyof ReturnType<typeof resolveForwarderLimits>)[];

it("an undefined limit is the default", () => {
  const undefineds = Object.fromEntries(names.map((name) => [name, undefined]));
  expect(resolveForwarderLimits(undefineds)).toEqual(resolveForwarderLimits());
});

it.each(names)("%s is taken as given, and refused by its name when it cannot be", (name) => {
  expect(resolveForwarderLimits({ [name]: 1_024 })[name]).toBe(1_024);
  for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => resolveForwarderLimits({ [name]: bad })).toThrow(`limits.${name} must be a whole number`);
  }
});
