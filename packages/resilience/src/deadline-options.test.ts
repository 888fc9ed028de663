import { describe, expect, it } from "vitest";
import { EchoService } from "../test/fixtures/echo-service.ts";
import { type DeadlineOptions, resolveDeadlineOptions } from "./deadline-options.ts";
import { createCallPropagation } from "./propagation.ts";

/** What a program without types may pass. */
const untyped = (options: unknown) => options as never;

const { get, set } = EchoService.method;
const service = "cpg.test.v1.EchoService";
const noLimit = { defaultMs: Infinity, maxMs: Infinity };

describe("resolveDeadlineOptions", () => {
  it.each<{ title: string; options: DeadlineOptions; ofGet: object; ofSet: object }>([
    { title: "no limit by default", options: {}, ofGet: noLimit, ofSet: noLimit },
    {
      title: "undefined for the default, for every option",
      options: { defaultMs: undefined, maxMs: undefined, methods: undefined, clock: undefined },
      ofGet: noLimit,
      ofSet: noLimit,
    },
    {
      title: "a default",
      options: { defaultMs: 5 },
      ofGet: { defaultMs: 5, maxMs: Infinity },
      ofSet: { defaultMs: 5, maxMs: Infinity },
    },
    {
      title: "a maximum, which is also the longest default",
      options: { defaultMs: 50, maxMs: 20 },
      ofGet: { defaultMs: 20, maxMs: 20 },
      ofSet: { defaultMs: 20, maxMs: 20 },
    },
    {
      title: "a method by name",
      options: { defaultMs: 5, methods: { [`${service}/Get`]: { defaultMs: 7, maxMs: 9 } } },
      ofGet: { defaultMs: 7, maxMs: 9 },
      ofSet: { defaultMs: 5, maxMs: Infinity },
    },
    {
      title: "a service by name, and over it a method",
      options: {
        maxMs: 9,
        methods: { [service]: { defaultMs: 3, maxMs: 8 }, [`${service}/Set`]: { defaultMs: 4 }, "a.Other": undefined },
      },
      ofGet: { defaultMs: 3, maxMs: 8 },
      ofSet: { defaultMs: 4, maxMs: 8 },
    },
    {
      title: "a limit lifted",
      options: { defaultMs: 5, maxMs: 9, methods: { [`${service}/Get`]: { maxMs: Infinity, defaultMs: Infinity } } },
      ofGet: noLimit,
      ofSet: { defaultMs: 5, maxMs: 9 },
    },
    {
      title: "a maximum lifted, without a default anywhere",
      options: { maxMs: 9, methods: { [`${service}/Get`]: { maxMs: Infinity } } },
      ofGet: noLimit,
      ofSet: { defaultMs: 9, maxMs: 9 },
    },
    {
      title: "a function",
      options: { maxMs: 9, methods: (method) => (method.name === "Get" ? { maxMs: 2 } : undefined) },
      ofGet: { defaultMs: 2, maxMs: 2 },
      ofSet: { defaultMs: 9, maxMs: 9 },
    },
  ])("takes $title", ({ options, ofGet, ofSet }) => {
    const { limitsOf } = resolveDeadlineOptions(options);
    expect([limitsOf(get), limitsOf(set)]).toEqual([ofGet, ofSet]);
  });

  it("asks a function once for each method", () => {
    const asked: string[] = [];
    const { limitsOf } = resolveDeadlineOptions({ methods: ({ name }) => void asked.push(name) });
    for (const method of [get, set, get, set]) limitsOf(method);
    expect(asked).toEqual(["Get", "Set"]);
  });

  it.each([
    { wrong: { defaultMs: 0 }, error: new RangeError("defaultMs must be greater than 0, got 0") },
    { wrong: { defaultMs: Number.NaN }, error: new RangeError("defaultMs must be greater than 0, got NaN") },
    { wrong: { maxMs: -1 }, error: new RangeError("maxMs must be greater than 0, got -1") },
    { wrong: { maxMs: "5" }, error: new RangeError("maxMs must be greater than 0, got 5") },
    { wrong: { methods: 5 }, error: new TypeError("methods must be an object or a function, got 5") },
    { wrong: { methods: null }, error: new TypeError("methods must be an object or a function, got null") },
    {
      wrong: { methods: { "/a.B/C": {} } },
      error: new TypeError("methods must be named package.Service/Method or package.Service, got /a.B/C"),
    },
    {
      wrong: { methods: { "a.B/C": { maxMs: 0 } } },
      error: new RangeError('methods["a.B/C"].maxMs must be greater than 0, got 0'),
    },
    { wrong: { methods: { "a.B": 5 } }, error: new TypeError('methods["a.B"] must be an object, got 5') },
    { wrong: { clock: {} }, error: new TypeError("clock must be a Clock, got [object Object]") },
    { wrong: null, error: new TypeError("options must be an object, got null") },
  ])("refuses $wrong", ({ wrong, error }) => {
    expect(() => resolveDeadlineOptions(untyped(wrong))).toThrow(error);
  });

  it("refuses what a function returns, naming the method", () => {
    const { limitsOf } = resolveDeadlineOptions({ methods: () => ({ defaultMs: -5 }) });
    expect(() => limitsOf(get)).toThrow(
      new RangeError(`methods(${service}/Get).defaultMs must be greater than 0, got -5`),
    );
  });
});

describe("createCallPropagation", () => {
  it.each([
    { wrong: { marginMs: -1 }, error: new RangeError("marginMs must be a finite number of at least 0, got -1") },
    { wrong: { marginMs: "5" }, error: new RangeError("marginMs must be a finite number of at least 0, got 5") },
    {
      wrong: { marginMs: Infinity },
      error: new RangeError("marginMs must be a finite number of at least 0, got Infinity"),
    },
    { wrong: { clock: 5 }, error: new TypeError("clock must be a Clock, got 5") },
  ])("refuses $wrong", ({ wrong, error }) => {
    expect(() => createCallPropagation(untyped(wrong))).toThrow(error);
  });
});
