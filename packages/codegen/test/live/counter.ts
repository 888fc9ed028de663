import type { Counter } from "../golden/ts/kinds/v1/kinds_cpg.ts";

/** Written as a user writes it: against the generated interface alone. */
export const counter: Counter = {
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
  hang(_request, { signal }) {
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    return promise;
  },
};
