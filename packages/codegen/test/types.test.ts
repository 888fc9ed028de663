import { expect, it } from "vitest";
import { compile } from "./support/compile.ts";
import { goldenCases, readGolden } from "./support/golden-cases.ts";

// A line that has to be wrong says with which code.
const program = `
import { createPluginClient, serve } from "@cpg/core";
import { type Counter, counterPlugin, mockCounter } from "./kinds/v1/kinds_cpg.ts";

const plugins = { counter: counterPlugin };

// Right: an object, a class, parts of it as a test double.
const counter: Counter = {
  add: ({ a, b }) => ({ sum: a + b }),
  async *countDown({ from }, { signal }) {
    for (let number = from; number > 0 && !signal.aborted; number--) yield { number };
  },
  async sum(requests) {
    let sum = 0;
    for await (const { number } of requests) sum += number;
    return { sum };
  },
  async *double(requests) {
    for await (const { number } of requests) yield { double: 2 * number };
  },
  hang: (_request, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
};
export class Calculator implements Counter {
  add: Counter["add"] = async ({ a, b }) => ({ sum: a + b });
  countDown: Counter["countDown"] = counter.countDown;
  sum: Counter["sum"] = counter.sum;
  double: Counter["double"] = counter.double;
  hang: Counter["hang"] = counter.hang;
}
await serve({ plugins, impls: { counter } });
await serve({ plugins, impls: { counter: new Calculator() } });
await serve({ plugins, impls: { counter: mockCounter({ add: () => ({ sum: 1 }) }) } });
mockCounter();
mockCounter({ add: undefined });
const client = createPluginClient({ endpoint: "http://localhost", plugins });
export const sum: number = (await (await client.dispense("counter")).add({ a: 1 })).sum;

// Wrong.
export const lacking: Counter = { add: counter.add }; // 2739
export const field: Counter = { ...counter, add: () => ({ total: 1 }) }; // 2322
export const value: Counter = { ...counter, add: () => ({ sum: "1" }) }; // 2322
export const request: Counter = { ...counter, add: ({ c }) => ({ sum: c }) }; // 2339
export const kind: Counter = { ...counter, countDown: () => ({ number: 1 }) }; // 2741
export const streamed: Counter = { ...counter, double: async function* () { yield { double: "2" }; } }; // 2322
export const context: Counter = { ...counter, add: (_, { abort }) => ({ sum: 1 }) }; // 2339 6133
export class Unfinished implements Counter { // 2420
  add: Counter["add"] = counter.add;
}
await serve({ plugins, impls: {} }); // 2741
await serve({ plugins, impls: { counter: { add: counter.add } } }); // 2739
await serve({ plugins, impls: { count: counter } }); // 2561
await serve({ plugins: { count: counterPlugin }, impls: { count: counter } }); // 2322
mockCounter({ ad: counter.add }); // 2353
mockCounter({ add: () => ({ total: 1 }) }); // 2322
mockCounter({ sum: ({ sum }) => ({ sum }) }); // 2322 2339
await client.dispense("count"); // 2345
await (await client.dispense("counter")).add({ c: 1 }); // 2353
await (await client.dispense("counter")).subtract({}); // 2339
export const text: string = (await (await client.dispense("counter")).add({})).sum; // 2322
`;

it("holds implementations, test doubles and calls to the .proto, where they are written", () => {
  const [ts] = goldenCases;
  const files = new Map([...(ts ? readGolden(ts) : []), ["program.ts", program]]);
  const expected = program.split("\n").flatMap((text, index) => {
    const codes = /\/\/ ([\d ]+)$/.exec(text)?.[1]?.split(" ") ?? [];
    return codes.map((code) => ({ line: index + 1, code: Number(code) }));
  });
  const byPlace = (one: { line: number; code: number }, other: { line: number; code: number }) =>
    one.line - other.line || one.code - other.code;
  const complaints = compile(files).map(({ line, code }) => ({ line, code }));
  expect(complaints.sort(byPlace)).toEqual(expected.sort(byPlace));
});
