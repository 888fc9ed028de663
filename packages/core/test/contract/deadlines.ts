import { Code } from "@connectrpc/connect";
import { expect } from "vitest";
import { forKinds, kinds, streamKinds } from "./kinds.ts";
import type { ContractCase } from "./subject.ts";
import { countOf, seen } from "./witnessed.ts";

/** Short, as tests wait for it; nothing is said about how late it may be noticed. */
const shortMs = 60;

export const deadlineCases: readonly ContractCase[] = [
  ...forKinds("the handler sees what is left of the time", async ({ contract }, kind) => {
    const [answer] = await kind.call(contract, { act: "facts" }, { timeoutMs: 30_000 });
    const timeoutMs = Number(answer?.facts.timeoutMs);
    expect(timeoutMs).toBeGreaterThan(20_000);
    expect(timeoutMs).toBeLessThan(30_100); // rounded up on the way
  }),
  ...forKinds("a time-out of 0 is none", async ({ contract }, kind) => {
    const [answer] = await kind.call(contract, { act: "facts" }, { timeoutMs: 0 });
    expect(answer?.facts.timeoutMs).toBe("none");
  }),
  {
    title: "a unary call that names no time-out has a minute",
    async run({ contract }) {
      const timeoutMs = Number((await contract.unary({ act: "facts" })).facts.timeoutMs);
      expect(timeoutMs).toBeGreaterThan(50_000);
      expect(timeoutMs).toBeLessThan(60_100);
    },
  },
  ...forKinds(
    "a stream that names no time-out has none",
    async ({ contract }, kind) => {
      const [answer] = await kind.call(contract, { act: "facts" });
      expect(answer?.facts.timeoutMs).toBe("none");
    },
    kinds.filter(({ kind }) => kind !== "unary"),
  ),
  ...forKinds("a time-out of many days arrives, and does not end the call at once", async ({ contract }, kind) => {
    const [answer] = await kind.call(contract, { act: "facts" }, { timeoutMs: 20 * 24 * 3_600_000 });
    expect(Number(answer?.facts.timeoutMs)).toBeGreaterThan(19 * 24 * 3_600_000);
  }),
  ...forKinds("a call whose time is up ends with deadline_exceeded, on both sides", async (subject, kind) => {
    const { contract, key } = subject;
    const call = kind.call(contract, { act: "wait", key }, { timeoutMs: shortMs });
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    // Both sides have a clock: who is second may hear of the other's end before its own.
    expect([Code.DeadlineExceeded, Code.Canceled]).toContain((await seen(subject, `${key} aborted`)).code);
  }),
  ...forKinds("a handler that heeds no deadline does not hold its caller", async (subject, kind) => {
    const { contract, witness, key } = subject;
    const call = kind.call(contract, { act: "gate", key }, { timeoutMs: shortMs });
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await witness.open({ key });
  }),
  ...forKinds(
    "a stream whose time is up after two messages has given them",
    async (subject, kind) => {
      const { contract, key } = subject;
      const answers = kind.open(contract, { act: "wait", key }, { timeoutMs: 500 }, 2)[Symbol.asyncIterator]();
      expect((await answers.next()).done).toBe(false);
      expect((await answers.next()).done).toBe(false);
      await expect(answers.next()).rejects.toMatchObject({ code: Code.DeadlineExceeded });
      expect([Code.DeadlineExceeded, Code.Canceled]).toContain((await seen(subject, `${key} aborted`)).code);
    },
    streamKinds,
  ),
  ...forKinds("50 deadlines at a time each end their own call", async (subject, kind) => {
    const { contract, key } = subject;
    const calls = Array.from({ length: 50 }, () =>
      kind.call(contract, { act: "wait", key }, { timeoutMs: shortMs }).then(
        () => "succeeded",
        ({ code }) => code,
      ),
    );
    expect(new Set(await Promise.all(calls))).toEqual(new Set([Code.DeadlineExceeded]));
    const started = await countOf(subject, `${key} started`); // one may run out before its handler begins
    if (started > 0) await seen(subject, `${key} aborted`, started);
    expect((await contract.unary({ text: "still here" })).text).toBe("still here");
  }),
  ...forKinds("a call that ends in time is not touched by its deadline", async ({ contract }, kind) => {
    const answers = await kind.call(contract, { text: "in time" }, { timeoutMs: 10_000 }, 1);
    expect(answers.at(-1)?.text).toContain("in time");
  }),
];
