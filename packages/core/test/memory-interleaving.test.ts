import { getEventListeners } from "node:events";
import { Code, ConnectError, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { createMemoryServer } from "@cpg/core";
import { FakeClock } from "@cpg/resilience/testing";
import fc from "fast-check";
import { expect, it } from "vitest";
import { collect } from "./support/collect.ts";
import { EchoService } from "./support/echo-service.ts";

/** What can happen to a stream between two steps of its two sides. */
type Step =
  | "read"
  | "read twice"
  | "leave"
  | "cancel"
  | "time passes"
  | "close transport"
  | "handler sends"
  | "handler reads"
  | "handler ends"
  | "handler fails"
  | "caller sends"
  | "caller ends"
  | "caller fails";

const steps: Step[] = [
  "read",
  "read twice",
  "leave",
  "cancel",
  "time passes",
  "close transport",
  "handler sends",
  "handler reads",
  "handler ends",
  "handler fails",
  "caller sends",
  "caller ends",
  "caller fails",
];

/** A generator that does what it is told, one instruction at a time, and counts its beginnings and ends. */
function obedient<Instruction>() {
  const queue: Instruction[] = [];
  let wake: (() => void) | undefined;
  return {
    tell(instruction: Instruction) {
      queue.push(instruction);
      wake?.();
    },
    async next(signal?: AbortSignal): Promise<Instruction> {
      for (;;) {
        signal?.throwIfAborted();
        const instruction = queue.shift();
        if (instruction !== undefined) return instruction;
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal?.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    },
  };
}

async function runScript(script: readonly Step[], byReference: boolean) {
  const clock = new FakeClock();
  const caller = new AbortController();
  const handlerOrders = obedient<"send" | "read" | "end" | "fail">();
  const callerOrders = obedient<"send" | "end" | "fail">();
  const seen = { handlersBegun: 0, handlersEnded: 0, sourcesBegun: 0, sourcesEnded: 0, handlerAborts: 0 };
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
          if (order === "send") yield { text: "answer" };
          else if ((await incoming.next()).done) return;
        }
      } finally {
        seen.handlersEnded++;
      }
    },
  };
  // What a caller's own iterable waits for has to end by itself, as with any transport.
  const over = new AbortController();
  async function* source() {
    seen.sourcesBegun++;
    try {
      for (;;) {
        const order = await callerOrders.next(over.signal);
        if (order === "end") return;
        if (order === "fail") throw new ConnectError("caller", Code.OutOfRange);
        yield { text: "question" };
      }
    } finally {
      seen.sourcesEnded++;
    }
  }
  const server = createMemoryServer({ routes: (router) => router.service(EchoService, impl), clock, byReference });
  const transport = server.connect();
  const outcomes: Code[] = [];
  const reads: Promise<unknown>[] = [];
  const started = transport.stream(EchoService.method.bidiStream, caller.signal, 100, undefined, source());
  let startedTimes = 0;
  const messages = started.then(
    (response) => {
      startedTimes++;
      return response.message[Symbol.asyncIterator]();
    },
    (reason: ConnectError) => {
      startedTimes++;
      outcomes.push(reason.code);
      return undefined;
    },
  );
  const read = () =>
    reads.push(
      messages
        .then((iterator) => iterator?.next())
        .then(undefined, (reason: ConnectError) => outcomes.push(reason.code)),
    );

  for (const step of script) {
    switch (step) {
      case "read":
        read();
        break;
      case "read twice":
        read();
        read();
        break;
      case "leave":
        void messages.then((iterator) => iterator?.return?.());
        break;
      case "cancel":
        caller.abort();
        break;
      case "time passes":
        await clock.advance(60);
        break;
      case "close transport":
        await transport.close();
        break;
      case "handler sends":
        handlerOrders.tell("send");
        break;
      case "handler reads":
        handlerOrders.tell("read");
        break;
      case "handler ends":
        handlerOrders.tell("end");
        break;
      case "handler fails":
        handlerOrders.tell("fail");
        break;
      case "caller sends":
        callerOrders.tell("send");
        break;
      case "caller ends":
        callerOrders.tell("end");
        break;
      case "caller fails":
        callerOrders.tell("fail");
        break;
    }
    // Some steps follow each other at once, others when everything else has happened.
    if (script.length % 2 === 0) await turn();
  }
  await clock.advance(1_000); // the deadline ends whatever goes on
  read();
  await Promise.all(reads);
  over.abort(new ConnectError("the test is over", Code.Canceled));
  await server.drain(0);
  await turn();
  return { seen, outcomes, startedTimes, pending: clock.pending, inFlight: server.inFlight };
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

it("however cancel, deadline, errors and ends meet, each side of a stream ends once and nothing is left", {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...steps), { maxLength: 14 }),
      fc.boolean(),
      async (script, byReference) => {
        const { seen, outcomes, startedTimes, pending, inFlight } = await runScript(script, byReference);
        expect(startedTimes).toBe(1);
        expect(outcomes.length).toBeLessThanOrEqual(1);
        expect(seen.handlersBegun).toBeLessThanOrEqual(1);
        expect(seen.handlersEnded).toBe(seen.handlersBegun);
        expect(seen.handlerAborts).toBe(seen.handlersBegun);
        expect(seen.sourcesEnded).toBe(seen.sourcesBegun);
        expect(pending).toBe(0);
        expect(inFlight).toBe(0);
      },
    ),
    { numRuns: 600, seed: 20_261_123 },
  );
});

it.each<{ what: string; script: Step[]; outcomes: Code[] }>([
  { what: "a caller that cancels", script: ["handler sends", "read", "cancel", "read"], outcomes: [Code.Canceled] },
  {
    what: "the deadline",
    script: ["handler sends", "read", "time passes", "time passes", "read"],
    outcomes: [Code.DeadlineExceeded],
  },
  { what: "the deadline before the first message", script: [], outcomes: [Code.DeadlineExceeded] },
  {
    what: "an error of the handler",
    script: ["handler sends", "read", "handler fails", "read"],
    outcomes: [Code.DataLoss],
  },
  { what: "an error of the caller's iterable", script: ["handler reads", "caller fails"], outcomes: [Code.OutOfRange] },
  { what: "the end", script: ["handler sends", "read", "handler ends", "read", "cancel", "read"], outcomes: [] },
  { what: "a reader that leaves", script: ["handler sends", "read", "leave", "read"], outcomes: [] },
  {
    what: "a transport that closes",
    script: ["handler sends", "read", "close transport", "read"],
    outcomes: [Code.Canceled],
  },
])("$what ends both sides", async ({ script, outcomes }) => {
  const padded: Step[] = script.length % 2 === 0 ? script : [...script, "read"];
  const result = await runScript(padded, false);
  expect(result.outcomes).toEqual(outcomes);
  expect(result.seen.handlersEnded).toBe(1);
  expect(result.seen.handlerAborts).toBe(1);
});

it("a call that has ended leaves no timer and no listener, whatever its deadline and its signal", async () => {
  const clock = new FakeClock();
  const caller = new AbortController();
  const impl: Partial<ServiceImpl<typeof EchoService>> = {
    unary: async (request) => {
      await turn(); // outlives the turn, so that its timer starts
      return request;
    },
    async *serverStream(request) {
      await turn();
      yield request;
    },
  };
  const passOn: Interceptor = (next) => (request) => next(request);
  await using server = createMemoryServer({ routes: (router) => router.service(EchoService, impl), clock });
  for (const transport of [server.connect(), server.connect({ interceptors: [passOn] })]) {
    const { signal } = caller;
    const { unary, serverStream } = EchoService.method;
    const answered = transport.unary(unary, signal, 1_000, undefined, { text: "a" });
    await clock.waitForSleep();
    expect((await answered).message.text).toBe("a");
    const requests = (async function* () {
      yield { text: "b" };
    })();
    const streaming = transport.stream(serverStream, signal, 1_000, undefined, requests);
    await clock.waitForSleep();
    expect(await collect((await streaming).message)).toHaveLength(1);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(server.inFlight).toBe(0);
  }
});
