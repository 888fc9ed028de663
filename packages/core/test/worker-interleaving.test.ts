import { getEventListeners } from "node:events";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createWorkerPair, turn } from "./fixtures/worker-pair.ts";
import { EchoService } from "./support/echo-service.ts";

/** What can happen to a stream between two steps of its two sides. */
const steps = [
  "read",
  "read twice",
  "leave",
  "cancel",
  "time passes",
  "close transport",
  "close port",
  "handler sends",
  "handler sends much",
  "handler reads",
  "handler ends",
  "handler fails",
  "caller sends",
  "caller sends much",
  "caller ends",
  "caller fails",
  "a turn",
] as const;
type Step = (typeof steps)[number];

/** Orders for one side, which carries them out one after the other. */
function createOrders<Order>() {
  const queue: Order[] = [];
  let wake: (() => void) | undefined;
  return {
    give(order: Order) {
      queue.push(order);
      wake?.();
    },
    async next(signal: AbortSignal): Promise<Order> {
      for (;;) {
        signal.throwIfAborted();
        const order = queue.shift();
        if (order !== undefined) return order;
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    },
  };
}

/** More than a window lets through. */
const much = 80;

async function runScript(script: readonly Step[]) {
  const clock = new FakeClock();
  const caller = new AbortController();
  const handlerOrders = createOrders<"send" | "send much" | "read" | "end" | "fail">();
  const callerOrders = createOrders<"send" | "send much" | "end" | "fail">();
  const seen = { handlersBegun: 0, handlersEnded: 0, handlerAborts: 0, sourcesBegun: 0, sourcesEnded: 0 };
  const impl: Partial<ServiceImpl<typeof EchoService>> = {
    async *bidiStream(requests, { signal }) {
      seen.handlersBegun++;
      signal.addEventListener("abort", () => seen.handlerAborts++);
      const incoming = requests[Symbol.asyncIterator]();
      try {
        for (;;) {
          const order = await handlerOrders.next(signal);
          if (order === "end") return;
          if (order === "fail") throw new ConnectError("handler", Code.DataLoss);
          if (order === "read" && (await incoming.next()).done) return;
          const count = order === "send" ? 1 : order === "send much" ? much : 0;
          for (let sent = 0; sent < count; sent++) yield { text: "answer" };
        }
      } finally {
        seen.handlersEnded++;
      }
    },
  };
  const over = new AbortController(); // what a caller's own iterable waits for has to end by itself
  async function* source() {
    seen.sourcesBegun++;
    try {
      for (;;) {
        const order = await callerOrders.next(over.signal);
        if (order === "end") return;
        if (order === "fail") throw new ConnectError("caller", Code.OutOfRange);
        for (let sent = 0; sent < (order === "send" ? 1 : much); sent++) yield { text: "question" };
      }
    } finally {
      seen.sourcesEnded++;
    }
  }

  const pair = await createWorkerPair({ routes: (router) => router.service(EchoService, impl), clock }, { clock });
  const outcomes: Code[] = [];
  const reads: Promise<unknown>[] = [];
  let settledTimes = 0;
  const note = (reason: unknown) => void outcomes.push(ConnectError.from(reason).code);
  const { transport } = pair.calls;
  const started = transport.stream(EchoService.method.bidiStream, caller.signal, 100, undefined, source());
  const messages = started.then(
    ({ message }) => {
      settledTimes++;
      return message[Symbol.asyncIterator]();
    },
    (reason) => {
      settledTimes++;
      note(reason);
      return undefined;
    },
  );
  const read = () => reads.push(messages.then((iterator) => iterator?.next()).catch(note));

  const acts: Record<Step, () => unknown> = {
    read,
    "read twice": () => [read(), read()],
    leave: () => reads.push(messages.then((iterator) => iterator?.return?.())),
    cancel: () => caller.abort(new ConnectError("enough", Code.Canceled)),
    "time passes": () => clock.advance(60),
    "close transport": () => pair.calls.close(),
    "close port": () => pair.client.close(),
    "handler sends": () => handlerOrders.give("send"),
    "handler sends much": () => handlerOrders.give("send much"),
    "handler reads": () => handlerOrders.give("read"),
    "handler ends": () => handlerOrders.give("end"),
    "handler fails": () => handlerOrders.give("fail"),
    "caller sends": () => callerOrders.give("send"),
    "caller sends much": () => callerOrders.give("send much"),
    "caller ends": () => callerOrders.give("end"),
    "caller fails": () => callerOrders.give("fail"),
    "a turn": turn,
  };
  for (const step of script) await acts[step]();
  await turn();
  await clock.advance(1_000); // the deadline ends whatever goes on
  read();
  await Promise.all(reads);
  over.abort(new ConnectError("the test is over", Code.Canceled));
  await pair.idle();
  const inFlight = [pair.client.inFlight, pair.served.inFlight, pair.memory.inFlight];
  await pair[Symbol.asyncDispose]();
  await turn();
  const listeners = getEventListeners(caller.signal, "abort").length;
  return { seen, outcomes, settledTimes, pending: clock.pending, inFlight, listeners, errors: pair.errors };
}

it("however cancel, deadline, errors, ends and the window meet, each side of a stream ends once and nothing is left", {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...steps), { maxLength: 16 }), async (script) => {
      const { seen, outcomes, settledTimes, pending, inFlight, listeners, errors } = await runScript(script);
      expect(settledTimes).toBe(1);
      expect(outcomes.length).toBeLessThanOrEqual(1);
      expect(seen.handlersBegun).toBeLessThanOrEqual(1);
      expect(seen.handlersEnded).toBe(seen.handlersBegun);
      expect(seen.handlerAborts).toBe(seen.handlersBegun);
      expect(seen.sourcesEnded).toBe(seen.sourcesBegun);
      expect({ pending, inFlight, listeners, errors }).toEqual({
        pending: 0,
        inFlight: [0, 0, 0],
        listeners: 0,
        errors: [],
      });
    }),
    { numRuns: 500, seed: 20_261_124 },
  );
});

it.each<{ what: string; script: Step[]; outcomes: Code[] }>([
  { what: "a caller that cancels", script: ["handler sends", "read", "cancel", "read"], outcomes: [Code.Canceled] },
  { what: "the deadline", script: ["a turn", "time passes", "time passes"], outcomes: [Code.DeadlineExceeded] },
  {
    what: "an error of the handler",
    script: ["handler sends", "read", "handler fails", "read"],
    outcomes: [Code.DataLoss],
  },
  { what: "an error of the caller's iterable", script: ["a turn", "caller fails"], outcomes: [Code.OutOfRange] },
  { what: "the end", script: ["handler sends", "handler ends", "read", "read", "cancel", "read"], outcomes: [] },
  { what: "a reader that leaves", script: ["handler sends", "read", "leave", "read"], outcomes: [] },
  {
    what: "a transport that closes",
    script: ["handler sends", "read", "close transport", "read"],
    outcomes: [Code.Canceled],
  },
  { what: "a port that closes", script: ["handler sends", "read", "close port", "read"], outcomes: [Code.Unavailable] },
])("$what ends both sides", async ({ script, outcomes }) => {
  // The handler has begun and each step has come to its end before the next one.
  const result = await runScript([
    ...Array<Step>(20).fill("a turn"),
    ...script.flatMap((step) => [step, ...Array<Step>(20).fill("a turn")]),
  ]);
  expect(result.outcomes).toEqual(outcomes);
  expect(result.seen).toMatchObject({ handlersBegun: 1, handlersEnded: 1, handlerAborts: 1, sourcesEnded: 1 });
  expect(result.inFlight).toEqual([0, 0, 0]);
});
